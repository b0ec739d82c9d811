"""Evaluates a run of train.py on a split: metrics, and pictures of the best, median and worst frames.

python evaluate.py --model_dir=runs/default                             the latest checkpoint
python evaluate.py --model_dir=runs/default --saved_model=runs/default/export

Or compares runs in a study, of the paper or over groups of clips: a table and a figure.

python evaluate.py --study=swap_interval --model_dir=runs/gain/baseline,runs/gain/taf
python evaluate.py --study=difference --model_dir=runs/game/baseline,runs/game/taf --group_by='^(.+)_'
"""

from flags.evaluate_command import run  # flags → config → taf_keras.evaluation.run.evaluate, or run_study

if __name__ == "__main__":
    run()
