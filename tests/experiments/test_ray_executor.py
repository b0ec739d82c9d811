"""Sweeps over a Ray cluster: two nodes on this machine, and a stub in place of train.py."""

import os
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from stub_trainer import ROOT, trained, write_trainer
from test_sweep import BASELINE, TAF, refusal, run_sweep, start_sweep, wait_for
from test_table1 import TINY, run_table1

from taf_keras.errors import UserError
from taf_keras.experiments import ray_executor

ON_RAY = "--executor=ray"
SECONDS = 300  # for what Ray does in some, on a machine that is busy
NOTE = """
    with open(sys.argv[0] + ".nodes", "a") as log:
        threads = os.environ["TF_NUM_INTRAOP_THREADS"]
        log.write(f"{run.folder.parent.name} {os.environ['NODE']} {threads} {os.getpid()}\\n")
    teacher ="""
WAIT = "while not os.path.exists(sys.argv[0] + '.go'): time.sleep(0.1)"


@pytest.fixture(scope="module")
def nodes():
    """A cluster of two nodes with one CPU each; $NODE says which. Yields it and the second node."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install -r requirements-dev.txt")
    from ray.cluster_utils import Cluster

    memory = {"num_cpus": 1, "object_store_memory": 80_000_000}
    head = memory | {"include_dashboard": False, "env_vars": {"NODE": "first"}}
    try:
        cluster = Cluster(True, head_node_args=head)
    except Exception as error:  # it needs sockets and shared memory, which a container may not have
        pytest.skip(f"Ray does not start here: {error}")
    try:
        second = cluster.add_node(**memory, env_vars={"NODE": "second"})
        cluster.wait_for_nodes(SECONDS)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RAY_ADDRESS", cluster.address)
            yield cluster, second
    finally:
        cluster.shutdown()


@pytest.fixture
def trainer(tmp_path) -> Path:
    """It writes down the node of each run, and 1000 epochs last until FILE.go exists."""
    path = write_trainer(tmp_path)
    text = path.read_text().replace("    teacher =", NOTE)
    path.write_text(text.replace("time.sleep(100)", WAIT))
    return path


def runs_of(trainer: Path) -> dict[str, tuple[str, int]]:
    """{arm: the node and the process of the run that began last}"""
    path = Path(f"{trainer}.nodes")
    lines = path.read_text().splitlines() if path.exists() else []
    rows = [line.split() for line in lines]
    assert all(threads == "1" for _, _, threads, _ in rows)  # of one CPU
    return {arm: (node, int(process)) for arm, node, _, process in rows}


# One short arm, and two long ones of which one must wait for the other.
SLOW = [
    ON_RAY,
    "--seeds=0",
    "--jobs=2",
    BASELINE,
    "--arm=x: --epochs=1000",
    "--arm=y: --epochs=1000",
    "--arm=z:",
]


@pytest.mark.end_to_end
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_ends_a_sweep_ends_its_runs_on_all_nodes_and_it_goes_on_later(nodes, trainer, number):
    process = start_sweep(trainer, *SLOW)
    wait_for(lambda: runs_of(trainer).keys() >= {"x", "y"}, SECONDS)
    process.send_signal(number)
    _, errors = process.communicate(timeout=SECONDS)
    (x_node, x), (y_node, y) = (runs_of(trainer)[arm] for arm in "xy")
    assert {x_node, y_node} == {"first", "second"}
    if number == signal.SIGKILL:
        wait_for(lambda: not is_running(x) and not is_running(y), 60)
    else:
        assert process.returncode == 128 + number
        assert errors.strip() == "interrupted; the same command goes on where it stopped"
        assert (trainer.parent / "runs" / "y" / "seed-0.log").read_text() == "interrupted\n"
        assert not is_running(x)
        assert not is_running(y)
    assert trained(trainer) == ["base/seed-0", "x/seed-0", "y/seed-0"]

    Path(f"{trainer}.go").touch()
    process = start_sweep(trainer, *SLOW)
    output, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, errors
    assert trained(trainer) == ["base/seed-0", *["x/seed-0"] * 2, *["y/seed-0"] * 2, "z/seed-0"]
    assert "4 of 4 runs" in output
    assert len(pd.read_csv(trainer.parent / "runs" / "runs.csv")) == 4


@pytest.mark.end_to_end
def test_a_machine_that_does_not_see_what_runs_need_is_refused(nodes, trainer, capsys, monkeypatch):
    nowhere = trainer.parent / "nowhere"
    data = ["--", "--dataset=camvid", f"--data_dir={nowhere}"]
    assert f"does not see --data_dir={nowhere}: " in refusal(capsys, trainer, ON_RAY, TAF, *data)
    # It has a folder of this name, but not this one.
    marker = nullcontext(SimpleNamespace(name=str(nowhere)))
    monkeypatch.setattr(ray_executor.tempfile, "NamedTemporaryFile", lambda **_: marker)
    assert f"does not see --output_dir={trainer.parent}/runs: " in refusal(capsys, trainer, ON_RAY, TAF)
    assert not Path(f"{trainer}.trained").exists()


@pytest.mark.end_to_end
def test_runs_that_fail_or_are_needed(nodes, trainer, capsys):
    teacher = trainer.parent / "runs" / "base" / "seed-{seed}"
    needs = f"--arm=pseudo: --method=pseudo --teacher={teacher}"
    arms = [needs, BASELINE, "--arm=luckless: --taf_weight=13", "--arm=killed: --taf_weight=14"]
    with pytest.raises(SystemExit) as exit:
        run_sweep(trainer, ON_RAY, "--seeds=0", "--jobs=2", *arms)
    assert exit.value.code == 1
    order = Path(f"{trainer}.trained").read_text().split()
    assert order.index("base/seed-0") < order.index("pseudo/seed-0")
    printed = capsys.readouterr().out
    assert "failed  luckless seed 0: error: no luck" in printed
    assert "failed  killed seed 0: killed by signal 9" in printed


@pytest.mark.end_to_end
def test_table1_on_ray(nodes, tmp_path, camvid):
    trainer = run_table1(tmp_path, camvid, "--executor=ray", "--rows=3", *TINY)
    assert trained(trainer) == ["camvid_deeplabv3plus_mobilenetv2_baseline/seed-0"]


@pytest.mark.end_to_end
def test_the_runs_of_a_lost_node_fail_and_the_same_command_repeats_them(nodes, trainer):
    """The last test of these nodes: it ends one."""
    cluster, second = nodes
    process = start_sweep(trainer, *SLOW)
    wait_for(lambda: runs_of(trainer).keys() >= {"x", "y"}, SECONDS)
    lost = next(arm for arm in "xy" if runs_of(trainer)[arm][0] == "second")
    cluster.remove_node(second, allow_graceful=False)
    wait_for(lambda: not is_running(runs_of(trainer)[lost][1]), 60)
    Path(f"{trainer}.go").touch()
    output, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 1, errors
    assert f"failed  {lost} seed 0: its machine, or Ray there, is lost: " in output
    assert output.count("failed  ") == 1

    run_sweep(trainer, *SLOW)
    assert trained(trainer) == sorted(["base/seed-0", "x/seed-0", "y/seed-0", "z/seed-0", f"{lost}/seed-0"])


@pytest.mark.parametrize(
    ("machines", "at_once", "expected"),
    [
        ([(8, 0)], 1, (8, 0)),
        ([(4, 0), (8, 0)], 1, (8, 0)),  # no machine has all 12
        ([(4, 0), (8, 0)], 3, (4, 0)),
        ([(3, 0), (5, 0)], 2, (3, 0)),  # 8 / 2, but the first has no 4
        ([(2, 0), (2, 0)], 9, (1, 0)),  # four at once; the others wait
        ([(8, 2), (8, 2)], 4, (4, 1)),
        ([(8, 2), (8, 2)], 9, (4, 1)),  # one for each GPU
        ([(64, 0), (8, 1)], 2, (8, 1)),  # none where there is no GPU
        ([(0, 0), (2, 0)], 1, (2, 0)),
    ],
)
def test_a_run_has_its_share_of_the_cluster(machines, at_once, expected):
    assert ray_executor.share(machines, at_once) == expected


@pytest.mark.parametrize("machines", [[(0, 0)], [(4, 0), (0, 1)]])
def test_a_cluster_without_room_is_refused(machines):
    with pytest.raises(UserError, match=r"^--executor=ray: no machine of the cluster has "):
        ray_executor.share(machines, 1)


def test_a_run_has_ended_when_this_machine_sees_it(monkeypatch):
    """A network file system may show its files late."""
    ray = SimpleNamespace(wait=lambda tasks, timeout: (tasks, []), get=lambda _: 0)
    ray.exceptions = SimpleNamespace(RayError=RuntimeError)
    run = SimpleNamespace(has_ended=False)
    outcome = ray_executor._outcome_of(ray, "task", SimpleNamespace(run=run))
    assert outcome() is None
    run.has_ended = True
    assert outcome() == 0
    run.has_ended = False  # and at some time it is taken for failed
    monkeypatch.setattr(ray_executor, "_LATE_SECONDS", 0)
    assert ray_executor._outcome_of(ray, "task", SimpleNamespace(run=run))() == 0


def test_where_ray_is_missing_one_line_says_so(trainer, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert refusal(capsys, trainer, ON_RAY, TAF).startswith(
        "error: --executor=ray: needs Ray on all machines: "
    )


def test_ray_is_imported_for_its_executor_alone():
    code = "import sys, taf_keras.sweep, taf_keras.table1; print('ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "False", done.stderr


def test_a_run_ends_with_the_process_of_its_task(tmp_path):
    """Which Ray, or the kernel that runs out of memory, may kill."""
    pid, log = tmp_path / "pid", tmp_path / "log"
    sleep = f"import os, time; open({str(pid)!r}, 'w').write(f'{{os.getpid()}}\\n'); time.sleep(300)"
    call = f"train({[sys.executable, '-c', sleep]}, {str(log)!r}, '.', 1)"
    code = f"from taf_keras.experiments.ray_tasks import train; {call}"
    task = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    try:
        wait_for(lambda: pid.exists() and pid.read_text().endswith("\n"))
    finally:
        task.kill()
        task.wait()
    run_id = int(pid.read_text())
    try:
        wait_for(lambda: not is_running(run_id), 20)
    except AssertionError:
        os.kill(run_id, signal.SIGKILL)
        raise


def is_running(process: int) -> bool:
    """Whether there is such a process, other than one whose parent has yet to hear of its end."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
