"""A knative application: two functions and a workflow, each in a worker of its own.

``docs/deploying.md`` says how it gets there; ``ask.py`` asks it.
"""

from pathlib import Path

import pandas as pd
from lucas import Workflow, create_handler, function, workflow

from lucas_storage import StorageExecutor, with_storage


@function
@with_storage
def clean(days: Path) -> pd.DataFrame:
    """Read the CSV of daily weather, without days that lack a value."""
    return pd.read_csv(days, parse_dates=["date"]).dropna()


@function
@with_storage
def yearly(table: pd.DataFrame) -> pd.DataFrame:
    """Return the lowest and highest temperature of each year."""
    return table.groupby(table.date.dt.year).agg(lowest=("temp_min", "min"), highest=("temp_max", "max"))


@workflow(executor=StorageExecutor)
def report(wf: Workflow):
    """Clean a file, then reduce it; the table between the two never passes through this process."""
    return wf.call("yearly", {"table": wf.call("clean", {"days": wf.input()["days"]})})


# "python -m lucas.worker --function_name NAME" looks NAME up in this file and calls what it finds.
clean, yearly, report = map(create_handler, (clean, yearly, report))
