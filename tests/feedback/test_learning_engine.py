"""Persistence of learning: whole files, crashes, restarts, resets, changed settings, foreign files."""

import json
from itertools import count
from math import fsum

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from learning_builders import BASE, PARAMS, SECOND, START_NS, series, settled, world

import feedback
from common import atomic_file
from errors import Fatal, Temporary
from feedback import LearningEngine, LearningParams, reset_learning, state
from models import Outcome

INFORMED = series(300, 290)
"""300 markets of which TickVelocity predicts 290 at even odds."""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "learning_state.json"


def ticking(start_ns=START_NS):
    seconds = count()
    return lambda: start_ns + next(seconds) * SECOND


def opened(path, base=BASE, params=PARAMS, start_ns=START_NS):
    return LearningEngine(path, base, params, ticking(start_ns))


def facts(engine):
    """The state of an engine, without the time of saving."""
    return msgspec.structs.replace(engine.state, saved_at="")


def backups(path):
    return sorted(path.parent.glob("learning_state.*Z*.json"))


def test_before_anything_is_learnt_the_configured_weights_hold(path):
    """No file, no evidence: the configured weights, no message, nothing written."""
    engine = opened(path)
    assert engine.learn([]) is None
    assert engine.weights == BASE
    assert engine.notice is None
    assert not path.exists()


def test_ten_settled_trades_complete_an_interval(path):
    """No change at nine, one at ten, no further one until twenty."""
    engine = opened(path)
    assert engine.learn(INFORMED[:9]) is None
    assert engine.state.markets == 0
    engine.learn(INFORMED[:10])
    assert engine.state.markets == 10
    engine.learn(INFORMED[:19])
    assert engine.state.markets == 10
    engine.learn(INFORMED[:20])
    assert engine.state.markets == 20


def test_the_interval_is_a_setting_and_counts_trades(path):
    """LEARNING_TRIGGER_INTERVAL has effect; markets without trades are evidence but do not complete an
    interval."""
    markets = [settled(i, {"TickVelocity": Outcome.UP}, traded=i % 4 == 3) for i in range(20)]
    engine = opened(path, params=LearningParams(interval=5))
    engine.learn(markets[:19])
    assert engine.state.markets == 0
    engine.learn(markets)
    assert (engine.state.markets, engine.state.trades) == (20, 5)
    assert engine.state.evidence["TickVelocity"].n == 20


def test_an_adjustment_records_what_moved_and_why(path):
    """The returned step contains old and new weights, counts, time and evidence, and is in the file."""
    engine = opened(path)
    adjustment = engine.learn(INFORMED)
    assert adjustment is not None
    assert adjustment.new == engine.weights
    assert adjustment.old["TickVelocity"] < adjustment.new["TickVelocity"]
    assert (adjustment.markets, adjustment.trades) == (300, 300)
    assert adjustment.time == "2026-10-01T14:45:00+00:00"
    assert adjustment.evidence["TickVelocity"].right == 290
    assert adjustment.evidence["TickVelocity"].posterior == pytest.approx(295 / 310)
    on_file = json.loads(path.read_text())
    assert on_file["weights"] == engine.weights
    assert on_file["started_from"] == BASE
    assert on_file["history"][-1]["old"] == adjustment.old
    assert on_file["adjustments_count"] == len(on_file["history"]) > 10
    assert on_file["last_learnt"]["slug"] == INFORMED[-1].slug
    assert fsum(engine.weights.values()) == pytest.approx(1, abs=1e-12)


def test_learning_the_same_again_is_nothing(path):
    """A second call with the same evidence changes and writes nothing."""
    engine = opened(path)
    engine.learn(INFORMED)
    before, content = engine.state, path.read_bytes()
    assert engine.learn(INFORMED) is None
    assert engine.state == before
    assert path.read_bytes() == content


def test_a_market_given_twice_counts_once(path, tmp_path):
    """The same event twice in the evidence, in any order, is one market."""
    once, twice = opened(path), opened(tmp_path / "twice.json")
    once.learn(INFORMED)
    twice.learn([*reversed(INFORMED), *INFORMED])
    assert facts(twice) == facts(once)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), cuts=st.lists(st.integers(0, 200), max_size=6), data=st.data())
def test_any_way_there_gives_the_same_state(tmp_path_factory, seed, cuts, data):
    """However the evidence arrives, and wherever the process is restarted in between, the state equals the
    state from all evidence at once."""
    folder = tmp_path_factory.mktemp("ways")
    markets = world(seed, 200, "PriceDivergence", accuracy=0.9)
    at_once = opened(folder / "once.json")
    at_once.learn(markets)
    engine = opened(folder / "steps.json")
    for cut in [*sorted(cuts), 200]:
        engine.learn(markets[:cut])
        if data.draw(st.booleans()):
            engine = opened(folder / "steps.json")
    assert facts(engine) == facts(at_once)


class Killed(BaseException):
    """The process ends here; nothing after it runs."""


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_a_crash_while_saving_leaves_the_old_file_and_loses_nothing(path, monkeypatch, moment):
    """Killed before the temporary file is on disk, or between it and the rename, the next start has the old
    state and reaches the same new one; the temporary file is no obstacle."""
    engine = opened(path)
    engine.learn(INFORMED[:200])
    before = path.read_bytes()

    def die(*_):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(*((atomic_file.os, "fsync") if moment == "fsync" else (state.Path, "replace")), die)
        with pytest.raises(Killed):
            engine.learn(INFORMED)
    assert path.read_bytes() == before
    assert [left.name for left in path.parent.iterdir() if left != path] == [".learning_state.json.tmp"]
    again = opened(path)
    assert again.state.markets == 200
    again.learn(INFORMED)
    whole = opened(path.with_name("whole.json"))
    whole.learn(INFORMED)
    assert facts(again) == facts(whole)
    assert not path.with_name(".learning_state.json.tmp").exists()


def test_a_full_disk_changes_neither_weights_nor_file(path, monkeypatch):
    """Weights that cannot be saved are not used; the next call saves them."""
    engine = opened(path)
    engine.learn(INFORMED[:200])
    before, content = engine.weights, path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(atomic_file.os, "fsync", full)
        with pytest.raises(Temporary, match="No space left"):
            engine.learn(INFORMED)
    assert engine.weights == before
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]
    assert engine.learn(INFORMED) is not None


def test_the_new_content_is_synced_before_it_takes_the_name(path, monkeypatch):
    """The temporary file is synced before the rename, and the folder after it."""
    steps = []
    monkeypatch.setattr(atomic_file.os, "fsync", lambda _: steps.append("sync"))
    rename = state.Path.replace
    monkeypatch.setattr(
        state.Path, "replace", lambda self, target: (steps.append("rename"), rename(self, target))[1]
    )
    opened(path).learn(INFORMED)
    assert steps == ["sync", "rename", "sync"]


def test_a_reset_goes_back_and_keeps_the_old_file(path):
    """Configured weights again, at once and in the file; the old file is a dated copy beside it."""
    engine = opened(path)
    engine.learn(INFORMED)
    learnt = path.read_bytes()
    backup = engine.reset()
    assert engine.weights == BASE
    assert backups(path) == [backup]
    assert backup.name.startswith("learning_state.20260928T")
    assert backup.read_bytes() == learnt
    assert opened(path).weights == BASE


def test_after_a_reset_only_later_markets_count(path):
    """The ledger still contains the earlier markets; they do not count, also after a restart."""
    engine = opened(path, start_ns=INFORMED[-1].settled_ns)
    engine.learn(INFORMED)
    engine.reset()
    assert engine.learn(INFORMED) is None
    again = opened(path)
    assert again.learn(INFORMED) is None
    assert again.weights == BASE
    later = series(200, 190, start=301)
    again.learn([*INFORMED, *later])
    assert again.state.markets == 200
    assert again.weights["TickVelocity"] > BASE["TickVelocity"]


@pytest.mark.parametrize(("later_ns", "counted"), [(0, 0), (1, 10)])
def test_a_market_settled_at_the_instant_of_the_reset_is_unlearnt(path, later_ns, counted):
    """Only markets settled after the reset count: the same nanosecond is not after, the next one is."""
    instant = INFORMED[-1].settled_ns
    reset_learning(path, BASE, PARAMS, lambda: instant)
    engine = opened(path)
    engine.learn([msgspec.structs.replace(one, settled_ns=instant + later_ns) for one in INFORMED[:10]])
    assert engine.state.markets == counted


def test_two_resets_within_a_second_keep_both_files(path):
    """A backup never overwrites another."""
    engine = LearningEngine(path, BASE, PARAMS, lambda: START_NS)
    engine.learn(INFORMED)
    assert engine.reset() != engine.reset()
    assert len(backups(path)) == 2


def test_a_reset_without_a_file_has_nothing_to_keep(path):
    """The markets in the ledger so far no longer count."""
    assert reset_learning(path, BASE, PARAMS, lambda: INFORMED[-1].settled_ns) is None
    engine = opened(path)
    assert engine.learn(INFORMED) is None
    assert engine.weights == BASE


def test_a_changed_configured_weight_starts_over_with_a_message(path):
    """The operator's weights replace the learnt ones; the message names key, change and backup."""
    opened(path).learn(INFORMED)
    changed = BASE | {"TickVelocity": 0.20}
    engine = opened(path, base=changed, start_ns=INFORMED[-1].settled_ns)
    assert engine.weights == changed
    assert engine.notice is not None
    assert "TickVelocity 0.25 → 0.2" in engine.notice
    assert str(backups(path)[0]) in engine.notice
    assert engine.learn(INFORMED) is None
    assert opened(path, base=changed).notice is None


def test_a_changed_list_of_sources_starts_over(path):
    """An added or removed source is a change like any other."""
    opened(path).learn(INFORMED)
    fewer = {source: weight for source, weight in BASE.items() if source != "DeribitPCR"}
    engine = opened(path, base=fewer)
    assert engine.weights == fewer
    assert "DeribitPCR 0.1 → none" in str(engine.notice)


def test_a_changed_rate_recomputes_with_a_message(path, tmp_path):
    """After a change of LEARNING_* the weights equal those computed with the new settings throughout."""
    opened(path).learn(INFORMED)
    faster = LearningParams(rate=0.2)
    engine = opened(path, params=faster)
    assert "rate 0.1 → 0.2" in str(engine.notice)
    engine.learn(INFORMED)
    fresh = opened(tmp_path / "fresh.json", params=faster)
    fresh.learn(INFORMED)
    assert facts(engine) == facts(fresh)


def test_a_source_switched_off_stays_off(path):
    """A configured 0 stays 0 however good its votes are, and the rest keeps its sum."""
    base = BASE | {"TickVelocity": 0.0}
    engine = opened(path, base=base)
    engine.learn([*INFORMED, *series(300, 290, source="SpikeDetection", start=300)])
    assert engine.weights["TickVelocity"] == 0
    assert engine.weights["SpikeDetection"] > base["SpikeDetection"]
    assert fsum(engine.weights.values()) == pytest.approx(0.75, abs=1e-12)
    assert opened(path, base=base).weights == engine.weights


def test_votes_of_an_unknown_source_are_left_out(path):
    """A source of an older version in the ledger is ignored."""
    engine = opened(path)
    engine.learn(series(100, 95, source="Astrology"))
    assert engine.weights == BASE
    assert "Astrology" not in engine.state.evidence


def test_switched_off_it_touches_nothing(path):
    """LEARNING_ENABLED=false: configured weights, no file read or written, not even a damaged one."""
    path.write_text("not for us")
    engine = opened(path, params=LearningParams(enabled=False))
    assert engine.learn(INFORMED) is None
    assert engine.weights == BASE
    assert path.read_text() == "not for us"


def test_switched_on_again_it_goes_on(path):
    """Off and on again loses nothing: markets settled meanwhile count, too."""
    opened(path).learn(INFORMED[:200])
    opened(path, params=LearningParams(enabled=False)).learn(INFORMED)
    engine = opened(path)
    assert engine.notice is None
    engine.learn(INFORMED)
    assert engine.state.markets == 300


def test_a_ledger_that_was_exchanged_is_noticed(path):
    """Weights without their evidence are not used; the old file is kept and a message reports it."""
    opened(path).learn(INFORMED)
    engine = opened(path)
    assert engine.learn([]) is None
    assert engine.weights == BASE
    assert INFORMED[-1].slug in str(engine.notice)
    assert len(backups(path)) == 1
    engine.learn([])
    assert engine.notice is None


def spoilt(content, **changes):
    return json.dumps(json.loads(content) | changes)


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda text: "", "not a learning state"),
        (lambda text: text[: len(text) // 2], "not a learning state"),
        (lambda text: "\x00" * 64, "not a learning state"),
        (lambda text: '{"weights": {"default": 1.0}, "adjustments_count": 0}', "not a learning state"),
        (lambda text: spoilt(text, kind="shopping_list"), "not a learning state"),
        (lambda text: spoilt(text, version=2), "not a learning state"),
        (lambda text: spoilt(text, mood="good"), "not a learning state"),
        (lambda text: spoilt(text, weights=BASE | {"TickVelocity": 0.35}), "sum to 1.1"),
        (lambda text: spoilt(text, weights=BASE | {"TickVelocity": 0.9}), "TickVelocity is 0.9"),
        (lambda text: spoilt(text, weights={"TickVelocity": 1.0}), "different sources"),
        (
            lambda text: spoilt(
                text,
                started_from={"TickVelocity": 0.25, "SpikeDetection": 0.0},
                weights={"TickVelocity": 0.2, "SpikeDetection": 0.05},
            ),
            "SpikeDetection is 0.05",
        ),
        (lambda text: spoilt(text, params={"rate": 7}), "not a learning state"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused_by_name(path, spoil, what):
    """It stops the start, names the file and the solution, and leaves the file unchanged; a reset then
    keeps even that as a backup."""
    opened(path).learn(INFORMED)
    path.write_text(spoil(path.read_text()))
    content = path.read_bytes()
    with pytest.raises(Fatal, match=what) as refusal:
        opened(path)
    assert str(path) in str(refusal.value)
    assert "--reset-learning" in refusal.value.next_step
    assert path.read_bytes() == content
    backup = reset_learning(path, BASE, PARAMS, ticking())
    assert backup is not None
    assert backup.read_bytes() == content
    assert opened(path).weights == BASE


def test_a_folder_in_the_file_s_place_is_refused(path):
    """A file that cannot be read is a Fatal, not a traceback."""
    path.mkdir()
    with pytest.raises(Fatal, match="cannot be read"):
        opened(path)


def test_the_history_is_bounded(path, monkeypatch):
    """The file keeps the newest steps and the number of all of them."""
    monkeypatch.setattr("feedback.learning_engine.HISTORY_KEPT", 5)
    engine = opened(path)
    engine.learn(INFORMED)
    assert len(engine.state.history) == 5
    assert engine.state.adjustments_count > 5
    assert engine.state.history[-1].new == engine.weights


def test_the_shared_engine_is_one(path):
    """The factory returns the same engine, and refuses settings that would have no effect."""
    feedback.reset_learning_engine()
    engine = feedback.get_learning_engine(path, BASE, PARAMS)
    assert feedback.get_learning_engine() is engine
    assert feedback.get_learning_engine(path, BASE, PARAMS) is engine
    with pytest.raises(Fatal, match="LearningEngine already exists with other settings"):
        feedback.get_learning_engine(path, BASE | {"TickVelocity": 0.2}, PARAMS)
    feedback.reset_learning_engine()
    assert feedback.get_learning_engine(path, BASE, PARAMS) is not engine
    feedback.reset_learning_engine()
