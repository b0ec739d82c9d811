"""Evaluates a run of train.py on a split: metrics, and pictures of the best, median and worst frames.

python evaluate.py --model_dir=runs/default                             the latest checkpoint
python evaluate.py --model_dir=runs/default --saved_model=runs/default/export
"""

from flags import evaluation, script


def main() -> None:
    from taf_keras.evaluation.run import evaluate  # TensorFlow takes seconds to import: not before --help

    evaluate(**evaluation.arguments())


if __name__ == "__main__":
    script.run(main, evaluation)
