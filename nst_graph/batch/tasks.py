"""Which job comes next, and what became of those before."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from nst_graph.artifacts import read_manifest
from nst_graph.batch.checks import PlannedBatch
from nst_graph.batch.outcome import Event, Outcome, Progress, Retried, Started
from nst_graph.batch.state import RunState, result_path
from nst_graph.batch.work import style_key, weights_key
from nst_graph.plan import Plan


class Tasks:
    """The jobs of a batch that are still to be run.

    Jobs that share weights and style follow one another, so that both are there already.

    Args:
        planned: the batch.
        states: of its directories; jobs whose run is finished are skipped.
        watch: sees every event.
        fail_fast: after a failure no other job is handed out.
    """

    def __init__(
        self,
        planned: PlannedBatch,
        states: Sequence[RunState],
        watch: Callable[[Event], None],
        *,
        fail_fast: bool,
    ) -> None:
        self._plans = [job.plan for job in planned.jobs]
        self._names = [job.name for job in planned.jobs]
        self._watch = watch
        self._fail_fast = fail_fast
        self._outcomes: dict[int, Outcome] = {}
        self.interrupted = False
        groups: dict[Hashable, dict[Hashable, list[int]]] = {}
        for index, (plan, state) in enumerate(zip(self._plans, states, strict=True)):
            if state is RunState.FINISHED:
                self.end(_skipped(index, plan))
            else:
                styles = groups.setdefault(weights_key(plan), {})
                styles.setdefault(style_key(plan), []).append(index)
        self._pending = [
            index for styles in groups.values() for indices in styles.values() for index in indices
        ]

    def __len__(self) -> int:
        return len(self._pending)

    def take(self, after: int | None = None) -> tuple[int, Plan] | None:
        """The next job, if there is one: of the same style as job ``after``, where it can be."""
        if not self._pending:
            return None
        place = 0
        if after is not None:
            key = style_key(self._plans[after])
            same = (n for n, i in enumerate(self._pending) if style_key(self._plans[i]) == key)
            place = next(same, 0)
        index = self._pending.pop(place)
        self._watch(Started(index))
        return index, self._plans[index]

    def pending(self) -> list[tuple[int, Plan]]:
        """The jobs that ``take`` has still to give."""
        return [(index, self._plans[index]) for index in self._pending]

    def name(self, index: int) -> str:
        return self._names[index]

    def report(self, event: Progress | Retried) -> None:
        self._watch(event)

    def end(self, outcome: Outcome) -> None:
        """Take down how a job ended."""
        self._outcomes[outcome.index] = outcome
        self._watch(outcome)
        if outcome.status == "failed" and self._fail_fast:
            self._pending.clear()

    def stop(self) -> None:
        """Hand out no more jobs: the batch was interrupted."""
        self.interrupted = True
        self._pending.clear()

    def all_outcomes(self) -> tuple[Outcome, ...]:
        """One for each job, in their order."""
        return tuple(
            self._outcomes.get(index, Outcome(index, "not started"))
            for index in range(len(self._plans))
        )


def _skipped(index: int, plan: Plan) -> Outcome:
    """What the manifest of a finished run says of it."""
    manifest = read_manifest(plan.output) or {}
    losses = manifest.get("losses")
    timings = manifest.get("timings_seconds")
    seconds = sum(timings.values()) if isinstance(timings, dict) else 0.0
    known = dict(losses) if isinstance(losses, dict) else {}
    return Outcome(index, "skipped", round(seconds, 3), known, result_path(plan.output, plan))
