"""What fault injection found, as tables."""

from typing import Any


def told(found: list[dict[str, Any]]) -> str:
    """The counts as tables in Markdown."""
    lines = [
        "| executor | place | training | runs | drivers | shards retried | rows checked |",
        "|---|---|---|---|---|---|---|",
    ]
    groups: dict[tuple, list[dict]] = {}
    for one in found:
        groups.setdefault((one["executor"], "S3" if one["remote"] else "disk", one["kind"]), []).append(one)
    for group, some in sorted(groups.items()):
        sums = [sum(one[key] for one in some) for key in ("drivers", "retried", "checked")]
        lines.append(f"| {' | '.join(group)} | {len(some)} | {' | '.join(f'{n:,}' for n in sums)} |")
    sums = [sum(one[key] for one in found) for key in ("drivers", "retried", "checked")]
    lines.append(f"| all | | | {len(found)} | {' | '.join(f'{n:,}' for n in sums)} |")
    lines += [
        "",
        "| fault | injected | in runs | rows lost | duplicated | silently wrong |",
        "|---|---|---|---|---|---|",
    ]
    for kind in sorted({kind for one in found for kind in one["injected"]}):
        some = [one for one in found if kind in one["injected"]]
        ends = [sum(one[key] for one in some) for key in ("lost", "duplicated", "wrong")]
        times = sum(one["injected"].count(kind) for one in some)
        lines.append(f"| {kind} | {times} | {len(some)} | {' | '.join(map(str, ends))} |")
    ends = [sum(one[key] for one in found) for key in ("lost", "duplicated", "wrong")]
    times = sum(len(one["injected"]) for one in found)
    lines.append(f"| all | {times} | {len(found)} | {' | '.join(map(str, ends))} |")
    spoilt, said = (sum(len(one[key]) for one in found) for key in ("spoilt", "told"))
    refused, requests = (sum(one[key] for one in found) for key in ("refused", "requests"))
    lines += [
        "",
        f"{spoilt} files spoilt: {said} lines named a table or checkpoint, {refused} drivers refused a manifest, the "
        f"others were written anew before anybody read them. {requests:,} requests to the store spoilt.",
    ]
    return "\n".join(lines)
