"""Two import-linter contracts that its own four cannot say.

``forbidden`` needs a list of everything that is not allowed, and such a list is never
complete. ``third_party`` names what *is* allowed, so a new dependency is a decision and not
an accident. ``home`` names the few packages that may know a library, so that replacing the
library touches one place. Modules that do not exist yet are not an error in either: the
contract holds from the day they come.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


def _within(module: str, packages: Iterable[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


class _DirectImports(Contract):
    """A contract about single import statements, each reported with its line."""

    def _own(self, graph: ImportGraph) -> list[str]:
        roots: list[str] = self.session_options["root_packages"]
        return sorted(module for module in graph.modules if _within(module, roots))

    def _third_party(self, graph: ImportGraph, module: str) -> list[str]:
        roots: list[str] = self.session_options["root_packages"]
        return sorted(
            imported
            for imported in graph.find_modules_directly_imported_by(module)
            if not _within(imported, roots) and imported not in sys.stdlib_module_names
        )

    def _result(self, graph: ImportGraph, illegal: list[tuple[str, str]]) -> ContractCheck:
        lines = [
            f"{importer} -> {imported} (l.{detail['line_number']})"
            for importer, imported in illegal
            for detail in graph.get_import_details(importer=importer, imported=imported)
        ]
        return ContractCheck(kept=not illegal, metadata={"lines": lines})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Prints each import that breaks the contract."""
        lines: list[str] = check.metadata["lines"]
        for line in lines:
            output.print_error(line, bold=False)
        output.new_line()


class ThirdPartyContract(_DirectImports):
    """Modules under ``sources`` import no third-party package but those in ``allowed``."""

    type_name = "third_party"

    sources: Any = fields.ListField(subfield=fields.StringField())
    excluded: Any = fields.ListField(subfield=fields.StringField(), required=False, default=[])
    allowed: Any = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Finds the imports that are not on the list; ``verbose`` adds nothing."""
        illegal = [
            (module, imported)
            for module in self._own(graph)
            if _within(module, self.sources) and not _within(module, self.excluded)
            for imported in self._third_party(graph, module)
            if imported not in self.allowed
        ]
        return self._result(graph, illegal)


class HomeContract(_DirectImports):
    """The third-party ``packages`` are imported by modules under ``homes`` and nowhere else."""

    type_name = "home"

    packages: Any = fields.ListField(subfield=fields.StringField())
    homes: Any = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Finds the imports from outside the homes; ``verbose`` adds nothing."""
        illegal = [
            (module, imported)
            for module in self._own(graph)
            if not _within(module, self.homes)
            for imported in self._third_party(graph, module)
            if imported in self.packages
        ]
        return self._result(graph, illegal)
