"""Tables of records (to be replaced)."""

from evaluation.records import markdown_table, show_interval, show_value


def print_table(records):
    """Prints one row per result."""
    print(
        markdown_table(
            [
                {
                    "run": r.facts["run"],
                    "checkpoint": r.facts["checkpoint"],
                    "step": str(r.facts["step"]),
                    "suite": x.suite,
                    "metric": x.metric,
                    "strength": str(x.strength),
                    "value": show_value(x.value, x.unit),
                    "interval": show_interval(x.interval, x.unit),
                }
                for r in records
                for x in r.results
            ]
        )
    )


def write_report(records, folder, *, examples):
    """Nothing yet."""
