"""Evaluates a run of taf-train on a split: metrics, and pictures of the best, median and worst frames.

taf-evaluate --model_dir=runs/default                                  the latest checkpoint
taf-evaluate --model_dir=runs/default --saved_model=runs/default/export

Or compares runs in a study, of the paper or over groups of clips: a table and a figure.

taf-evaluate --study=swap_interval --model_dir=runs/gain/baseline,runs/gain/taf
taf-evaluate --study=difference --model_dir=runs/game/baseline,runs/game/taf --group_by='^(.+)_'
"""

from . import evaluation, script


def main() -> None:
    # TensorFlow takes seconds to import: not before --help.
    if evaluation.is_study():
        from taf_keras.studies.run import run_study

        run_study(**evaluation.study_arguments())
    else:
        from taf_keras.evaluation.run import evaluate

        evaluate(**evaluation.arguments())


def run() -> None:
    script.run(main, evaluation)


if __name__ == "__main__":
    run()
