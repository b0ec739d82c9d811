"""The paper's studies of trained models, one file per figure: `python evaluate.py --study=NAME`.

    compared.py  the runs that are compared, their names and what they have in common
    footage.py   the frames they are compared on
    swap_interval.py (Fig. 4)  predictions.py (Fig. 5)  attenuation.py (Fig. 6)  class_change.py (Fig. 7)
    consistency.py             temporal consistency; the paper has no such figure
    difference.py              how sure differences in mIoU are; with groups.py, confusions.py, bootstrap.py
    panels.py    charts beside each other, and the mean over seeds
    run.py       the command

A study has two functions: `measure` makes a table of one network, and `plot` a figure of matplotlib from the
tables of all networks, with the columns `model` and `seed` before them. `difference` compares all at once.
"""
