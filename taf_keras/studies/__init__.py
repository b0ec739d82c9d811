"""The paper's studies of trained models, one file per figure: `python evaluate.py --study=NAME`.

    runs.py      the runs that are compared, their names and what they have in common
    footage.py   the frames they are compared on
    branches.py  a network cut open at its branches
    swap_interval.py (Fig. 4)  predictions.py (Fig. 5)  attenuation.py (Fig. 6)  change_rate.py (Fig. 7)
    consistency.py             temporal consistency; the paper has no such figure
    panels.py    charts beside each other, and the mean over seeds
    run.py       the command

A study has two functions: `measure` makes a table of one network, `draw` a figure of all tables.
"""
