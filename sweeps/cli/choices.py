"""The verb that says what there is to choose from: worlds."""

import argparse
import textwrap

from analysis.folder import as_place
from sweeps.cli.printing import count, print_json
from sweeps.cli.starting import reading
from sweeps.spec import SpecError

NOT_HELD_OUT = {
    "observations": "",
    "levels": "  training may show its first observations",
    "nothing": "  not held out",
}


def worlds(arguments: argparse.Namespace) -> int:
    from sweeps.catalogue import worlds

    if arguments.out is not None or arguments.set:
        return _sheet(arguments)
    records = reading(lambda: worlds(arguments.name))
    if arguments.json:
        print_json(records)
        return 0
    whole = arguments.name is not None
    for record in records:
        part = next((part for part in ("learner", "curriculum") if part in record), None)
        if part is not None:
            print(f"{part} {record[part]}")
        else:
            goals = ", ".join(f"{goal['name']} ({goal['role']})" for goal in record["goals"])
            print(f"{record['world']}  {f'goals: {goals}' if goals else 'no goals: its outcome is its return'}")
            if whole:
                print(f"\n{textwrap.indent(record['doc'], '  ')}\n")
        for setting in record["settings"] or ():
            static = "  static" if setting["static"] else ""
            print(f"  {setting['key']:<28} {setting['default']!s:<10} {setting['accepts']}{static}")
            if whole and setting["doc"]:
                print(f"      {setting['doc']}")
        probes = record.get("probes") or ()
        if not whole and probes:
            print(f"  probes: {', '.join(one['name'] + ' (labels)' * one['labels'] for one in probes)}")
        for one in probes if whole else ():
            levels, episodes = count(one["levels"], "level"), count(one["episodes"], "episode")
            steps = f"{levels}, {episodes} of at most {count(one['horizon'], 'step')}"
            marks = "  labels" * one["labels"] + NOT_HELD_OUT[one["held_out"]]
            kind = ": ".join(filter(None, [one["kind"], ", ".join(one["goals"])]))
            print(f"  probe {one['name']:<22} {kind}; {steps}{marks}")
        if whole and record.get("counters"):
            print(f"  counted in training: {', '.join(record['counters'])}")
    return 0


def _sheet(arguments: argparse.Namespace) -> int:
    from sweeps.sheets import sheet, write_sheet

    if arguments.name is None or arguments.out is None:
        lacks = "needs the name of a world" if arguments.name is None else "is for a picture, and needs --out DIR"
        option = "--out" if arguments.out is not None else "--set"
        raise SpecError(option, f"{lacks}; for example chisel worlds coin-run --set env.diversity=0.3 --out DIR.")
    image = reading(lambda: sheet(arguments.name, arguments.set))
    try:
        print(write_sheet(as_place(arguments.out), image))
    except OSError as error:
        raise SpecError(arguments.out, f"cannot be written ({error.strerror or error}); give another --out.") from None
    return 0
