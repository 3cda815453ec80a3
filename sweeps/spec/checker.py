"""Checks single values of a spec, and says where a wrong one was given."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sweeps.spec import keys
from sweeps.spec.errors import SpecError, nearest, short
from sweeps.spec.reading import Written

if TYPE_CHECKING:
    from envs.settings import Setting


class Checker:
    """The dotted keys of a spec, and what is said of them; the first mistake is raised."""

    def __init__(self, written: Written):
        self.label, self.flat, self.origin, self.hints = written
        self.alternatives: dict[str, dict[str, dict[str, Setting]]] = {}
        """By kind, learner or curriculum, and name: the settings of each that the spec names. They may share one and
        differ in what they accept."""

    def error(self, path: str, message: object) -> SpecError:
        return SpecError(self.origin.get(path, self.label), path, f"{str(message).rstrip('.')}.")

    def refused(self, path: str, message: object) -> SpecError:
        """The error for a wrong value, with how TOML writes what was probably meant."""
        hint = f"; {self.hints[path]}" if path in self.hints else ""
        return self.error(path, f"{str(message).rstrip('.')}{hint}")

    def section(self, name: str) -> dict[str, Any]:
        """The keys of a section, without its name."""
        prefix = f"{name}."
        return {path.removeprefix(prefix): value for path, value in self.flat.items() if path.startswith(prefix)}

    def take(self, key: keys.Key) -> Any:
        """The checked value of a key of the spec itself, or its default."""
        if key.path in self.flat:
            try:
                return key.accept(self.flat[key.path])
            except ValueError as error:
                raise self.refused(key.path, error) from None
        if key.default is keys.REQUIRED:
            raise self.error(key.path, f"is missing; expected {key.accepts}")
        return key.default

    def value(self, path: str, setting: "Setting", value: Any) -> Any:
        """The checked value of a setting."""
        every = [one[setting.key] for one in self._components_at(path) if setting.key in one] or [setting]
        for one in every:
            if wrong := one.refusal(value):
                raise self.refused(path, f"{short(value)} {wrong}")
        checked = setting.kind(value)
        return checked + 0.0 if isinstance(checked, float) else checked  # -0.0 and 0.0 are one condition

    def _components_at(self, path: str) -> "list[dict[str, Setting]]":
        """The settings of every component that a value given at this path may be for: an arm may name its own."""
        section, _, rest = path.partition(".")
        found = []
        for kind, every in self.alternatives.items():
            own = self.flat.get(f"arms.{rest.partition('.')[0]}.{kind}.name") if section == "arms" else None
            named = every if own is None else own if isinstance(own, list) else [own]
            found += [every[name] for name in named]
        return found

    def levels(self, path: str, setting: "Setting", value: Any) -> tuple[Any, ...]:
        """The checked values of one factor."""
        if not isinstance(value, list):
            hint = f"expected a list of values, each {setting.describe()}"
            raise self.refused(path, f"{short(value)} is not a list; {hint}")
        if not value:
            raise self.error(path, f"is empty; expected one value or more, each {setting.describe()}")
        checked = [self.value(path, setting, one) for one in value]
        seen: dict[Any, Any] = {}
        for one in checked:
            used = setting.used(one)
            if used in seen:
                twice = f"{short(one)} is given twice"
                if seen[used] != one:
                    twice = f"{short(seen[used])} and {short(one)} are one number in float32"
                raise self.error(path, f"{twice}; expected distinct values")
            seen[used] = one
        return tuple(checked)

    def text(self, path: str, value: Any) -> str:
        try:
            return keys.text(value)
        except ValueError as error:
            raise self.error(path, error) from None

    def known(self, path: str, value: str, names: Iterable[str], what: str) -> str:
        if value not in names:
            raise self.error(path, f"{short(value)} is not a {what}; nearest: {nearest(value, names)}")
        return value
