"""The subset of OData that clients of the balena API use: a parser, and the evaluation of queries."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
import operator
import re
from typing import Any, Final, NoReturn

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)(?!\w)"
    r"|(?P<word>\$?[A-Za-z_]\w*)|(?P<symbol>[(),;:/=]))"
)
_CONSTANTS: Final = {"true": True, "false": False, "null": None}


class MalformedUrl(Exception):
    """The query cannot be parsed."""


class UnknownName(Exception):
    """The resource or the field does not exist."""


# Syntax tree of a query


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant."""

    value: object


@dataclass(frozen=True, slots=True)
class Path:
    """A field, optionally of a linked row. `$count` at the end counts the linked rows."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison of two values."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class In:
    """A test whether a value is in a list."""

    value: Expression
    choices: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """A negation."""

    condition: Expression


@dataclass(frozen=True, slots=True)
class Both:
    """A conjunction: all conditions must be true."""

    conditions: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """A disjunction: one condition must be true."""

    conditions: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """A test whether any linked row satisfies a condition."""

    path: Path
    variable: str
    condition: Expression


@dataclass(frozen=True, slots=True)
class StartsWith:
    """A test whether a text starts with another."""

    value: Expression
    prefix: Expression


type Expression = (
    Literal | Path | Comparison | In | Not | Both | Either | AnyOf | StartsWith
)


@dataclass(frozen=True, slots=True)
class Expand:
    """An expansion of linked rows in the result."""

    name: str
    counts: bool
    options: Options


@dataclass(slots=True)
class Options:
    """The options of a query."""

    select: tuple[str, ...] | None = None
    expand: tuple[Expand, ...] = ()
    filter: Expression | None = None
    # Each with whether the order is descending.
    orderby: tuple[tuple[Path, bool], ...] = ()
    top: int | None = None
    skip: int = 0


@dataclass(slots=True)
class Query:
    """A resource and the options of the query."""

    resource: str
    counts: bool
    options: Options


# Parser


def parse(path: str, query: Mapping[str, str]) -> Query:
    """Parse a path and its options. Raises MalformedUrl."""
    options = Options()
    for name, text in query.items():
        if name.startswith("$"):
            parser = _Parser(text)
            parser.option(name, options)
            parser.end()
    parser = _Parser(path)
    resource = parser.word()
    if parser.accepts("("):
        key = parser.key()
        conditions = (key,) if options.filter is None else (key, options.filter)
        options.filter = Both(conditions)
    counts = parser.accepts("/")
    if counts:
        parser.expect("$count")
    parser.end()
    return Query(resource, counts, options)


class _Parser:
    """A parser that reads a text from left to right."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        place, text = 0, text.rstrip()
        while place < len(text):
            found = _TOKEN.match(text, place)
            if found is None or found.lastgroup is None:
                raise MalformedUrl
            self._tokens.append((found.lastgroup, found[found.lastgroup]))
            place = found.end()
        self._tokens.append(("end", ""))
        self._place = 0

    def end(self) -> None:
        """Require the end of the text."""
        if self._kind != "end":
            raise MalformedUrl

    def accepts(self, text: str) -> bool:
        """Skip a text if it is next. Returns whether it was."""
        is_next = self._kind in {"word", "symbol"} and self._text == text
        self._place += is_next
        return is_next

    def expect(self, text: str) -> None:
        """Require a text and skip it."""
        if not self.accepts(text):
            raise MalformedUrl

    def word(self) -> str:
        """Read a name."""
        if self._kind != "word" or self._text.startswith("$"):
            raise MalformedUrl
        return self._take()

    def key(self) -> Expression:
        """Read the key in the parentheses after a resource."""
        if self._kind == "word":
            name = self.word()
            self.expect("=")
        else:
            name = "id"
        value = self._literal()
        self.expect(")")
        return Comparison("eq", Path((name,)), Literal(value))

    def option(self, name: str, options: Options) -> None:
        """Read the value of an option."""
        match name:
            case "$select":
                options.select = self._several(_Parser.word)
            case "$expand":
                options.expand = self._several(_Parser._expand)
            case "$filter":
                options.filter = self._either()
            case "$orderby":
                options.orderby = self._several(_Parser._order)
            case "$top":
                options.top = self._number()
            case "$skip":
                options.skip = self._number()
            case _:
                raise MalformedUrl

    @property
    def _kind(self) -> str:
        return self._tokens[self._place][0]

    @property
    def _text(self) -> str:
        return self._tokens[self._place][1]

    def _take(self) -> str:
        self._place += 1
        return self._tokens[self._place - 1][1]

    def _several[Item](
        self, read: Callable[[_Parser], Item], separator: str = ","
    ) -> tuple[Item, ...]:
        items = [read(self)]
        while self.accepts(separator):
            items.append(read(self))
        return tuple(items)

    def _number(self) -> int:
        if self._kind != "number" or not self._text.isdecimal():
            raise MalformedUrl
        return int(self._take())

    def _order(self) -> tuple[Path, bool]:
        path = Path(self._several(_Parser.word, "/"))
        is_descending = self.accepts("desc")
        if not is_descending:
            self.accepts("asc")
        return path, is_descending

    def _expand(self) -> Expand:
        name, options = self.word(), Options()
        counts = self.accepts("/")
        if counts:
            self.expect("$count")
        if self.accepts("("):
            self._option_within(options)
            while self.accepts(";"):
                self._option_within(options)
            self.expect(")")
        return Expand(name, counts, options)

    def _option_within(self, options: Options) -> None:
        if self._kind != "word":
            raise MalformedUrl
        name = self._take()
        self.expect("=")
        self.option(name, options)

    def _either(self) -> Expression:
        conditions = self._separated(self._both, "or")
        return conditions[0] if len(conditions) == 1 else Either(conditions)

    def _both(self) -> Expression:
        conditions = self._separated(self._condition, "and")
        return conditions[0] if len(conditions) == 1 else Both(conditions)

    def _separated(
        self, read: Callable[[], Expression], word: str
    ) -> tuple[Expression, ...]:
        conditions = [read()]
        while self.accepts(word):
            conditions.append(read())
        return tuple(conditions)

    def _condition(self) -> Expression:
        if self.accepts("not"):
            return Not(self._condition())
        if self.accepts("("):
            condition = self._either()
            self.expect(")")
            return condition
        left = self._operand()
        if self._kind == "word" and self._text in _COMPARISONS:
            return Comparison(self._take(), left, self._operand())
        if self.accepts("in"):
            self.expect("(")
            choices = self._several(_Parser._literal)
            self.expect(")")
            return In(left, choices)
        return left

    def _operand(self) -> Expression:
        if self._kind != "word" or self._text in _CONSTANTS:
            return Literal(self._literal())
        names = [self.word()]
        if names == ["startswith"] and self.accepts("("):
            value = self._operand()
            self.expect(",")
            prefix = self._operand()
            self.expect(")")
            return StartsWith(value, prefix)
        while self.accepts("/"):
            if self.accepts("$count"):
                return Path((*names, "$count"))
            name = self.word()
            if name == "any" and self.accepts("("):
                variable = self.word()
                self.expect(":")
                condition = self._either()
                self.expect(")")
                return AnyOf(Path(tuple(names)), variable, condition)
            names.append(name)
        return Path(tuple(names))

    def _literal(self) -> object:
        kind, text = self._kind, self._text
        if kind == "string":
            self._take()
            return text[1:-1].replace("''", "'")
        if kind == "number":
            self._take()
            return float(text) if "." in text else int(text)
        if kind == "word" and text in _CONSTANTS:
            return _CONSTANTS[self._take()]
        raise MalformedUrl


# Evaluation


@dataclass(frozen=True, slots=True)
class One[Row]:
    """A link to one row of another resource, or to none."""

    resource: str
    get: Callable[[Row], Any]


@dataclass(frozen=True, slots=True)
class Many[Row, Viewer]:
    """A link to rows of another resource that the viewer can see."""

    resource: str
    get: Callable[[Row, Viewer], Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Resource[Row, Viewer]:
    """The fields and links of a resource, with functions that read them from a row."""

    fields: Mapping[str, Callable[[Row], object]]
    one: Mapping[str, One[Row]] = field(default_factory=dict)
    many: Mapping[str, Many[Row, Viewer]] = field(default_factory=dict)
    # Changes a finished row, given its source.
    override: Callable[[Row, dict[str, object]], dict[str, object]] | None = None


type _Getter = Callable[[Any], Any]
type _Scope = Mapping[str, Any]
type _Condition = Callable[[_Scope], Any]

_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": lambda left, right: None not in (left, right) and left > right,
    "ge": lambda left, right: None not in (left, right) and left >= right,
    "lt": lambda left, right: None not in (left, right) and left < right,
    "le": lambda left, right: None not in (left, right) and left <= right,
}
# The key of the row itself in a scope.
_SELF: Final = ""


@dataclass(frozen=True, slots=True)
class Schema[Viewer]:
    """The resources that one viewer can query."""

    resources: Mapping[str, Resource[Any, Viewer]]
    viewer: Viewer
    # Whether a name exists in this API version, and whether it is selected by default.
    is_known: Callable[[str], bool] = lambda name: True
    is_default: Callable[[str], bool] = lambda name: True

    def run(
        self, resource: str, options: Options, rows: Iterable[Any]
    ) -> list[dict[str, object]]:
        """Return the rows that match a query. Raises UnknownName."""
        shape = self._shape(resource, options)
        return [shape(row) for row in self.choose(resource, options, rows)]

    def count(self, resource: str, options: Options, rows: Iterable[Any]) -> int:
        """Return the number of rows that match a query. Raises UnknownName."""
        return len(self.choose(resource, options, rows))

    def choose(self, name: str, options: Options, rows: Iterable[Any]) -> Sequence[Any]:
        """Return the rows that a query selects. Raises UnknownName."""
        if options.filter is not None:
            holds = self._condition(options.filter, {_SELF: name})
            rows = [row for row in rows if holds({_SELF: row})]
        for path, is_descending in reversed(options.orderby):
            key = _sort_key(self._path(path.names, {_SELF: name}))
            rows = sorted(rows, key=key, reverse=is_descending)
        rows = rows if isinstance(rows, Sequence) else list(rows)
        end = None if options.top is None else options.skip + options.top
        return rows[options.skip : end]

    def _shape(self, name: str, options: Options) -> Callable[[Any], dict[str, object]]:
        names = options.select
        if names is None:
            resource = self.resources[name]
            names = tuple(
                field
                for field in (*resource.fields, *resource.one)
                if self.is_known(field) and self.is_default(field)
            )
        getters = {field: self._selected(name, field) for field in names}
        for expand in options.expand:
            getters[expand.name] = self._expanded(name, expand)
        items = tuple(getters.items())
        override = self.resources[name].override
        if override is None:
            return lambda row: {field: get(row) for field, get in items}
        return lambda row: override(row, {field: get(row) for field, get in items})

    def _selected(self, name: str, field: str) -> _Getter:
        value = self._value(name, field)
        if field in self.resources[name].fields:
            return value

        def refer(row: Any) -> dict[str, object] | None:
            linked = value(row)
            return None if linked is None else {"__id": linked}

        return refer

    def _value(self, name: str, field: str) -> _Getter:
        """Return a function that reads a field of a row, or the id of its linked row."""
        resource = self._resource_with(name, field)
        if field in resource.fields:
            return resource.fields[field]
        if field not in resource.one:
            _unknown(field)
        link = resource.one[field]
        get, identify = link.get, self.resources[link.resource].fields["id"]

        def identity(row: Any) -> object:
            linked = get(row)
            return None if linked is None else identify(linked)

        return identity

    def _expanded(self, name: str, expand: Expand) -> _Getter:
        target, get = self._linked(name, expand.name)
        options = expand.options
        if expand.counts:
            return lambda row: self.count(target, options, get(row))
        shape = self._shape(target, options)
        if options.filter is None and not options.orderby and options.top is None:
            return lambda row: [shape(item) for item in get(row)[options.skip :]]
        # Validate the options even if there are no rows.
        self.choose(target, options, ())
        return lambda row: [
            shape(item) for item in self.choose(target, options, get(row))
        ]

    def _linked(
        self, name: str, field: str
    ) -> tuple[str, Callable[[Any], Sequence[Any]]]:
        """Return the resource of a link, and a function that returns the linked rows."""
        resource = self._resource_with(name, field)
        if field in resource.one:
            one = resource.one[field]

            def follow(row: Any) -> Sequence[Any]:
                linked = one.get(row)
                return () if linked is None else (linked,)

            return one.resource, follow
        if field not in resource.many:
            _unknown(field)
        many, viewer = resource.many[field], self.viewer
        return many.resource, lambda row: many.get(row, viewer)

    def _resource_with(self, name: str, field: str) -> Resource[Any, Viewer]:
        if not self.is_known(field):
            _unknown(field)
        return self.resources[name]

    def _condition(
        self, expression: Expression, names: Mapping[str, str]
    ) -> _Condition:
        """Return a function that evaluates an expression. `names` are the resources in scope."""
        match expression:
            case Literal(value):
                return lambda scope: value
            case Path(path):
                return self._path(path, names)
            case Comparison(sign, left, right):
                compare = _COMPARISONS[sign]
                first = self._condition(left, names)
                second = self._condition(right, names)
                return lambda scope: compare(first(scope), second(scope))
            case In(value, choices):
                member, choice_set = self._condition(value, names), frozenset(choices)
                return lambda scope: member(scope) in choice_set
            case Not(condition):
                negated = self._condition(condition, names)
                return lambda scope: not negated(scope)
            case Both(conditions):
                all_of = [self._condition(item, names) for item in conditions]
                return lambda scope: all(item(scope) for item in all_of)
            case Either(conditions):
                one_of = [self._condition(item, names) for item in conditions]
                return lambda scope: any(item(scope) for item in one_of)
            case StartsWith(value, prefix):
                text = self._condition(value, names)
                beginning = self._condition(prefix, names)
                return lambda scope: (text(scope) or "").startswith(beginning(scope))
            case AnyOf(path, variable, condition):
                *before, last = path.names
                name, start = self._walk(before, names)
                target, follow = self._linked(name, last)
                holds = self._condition(condition, {**names, variable: target})
                return lambda scope: any(
                    holds({**scope, variable: item})
                    for row in start(scope)
                    for item in follow(row)
                )

    def _path(self, path: Sequence[str], names: Mapping[str, str]) -> _Condition:
        *before, last = path
        name, start = self._walk(before, names)
        if last == "$count":
            return lambda scope: len(start(scope))
        get = self._value(name, last)
        if not before:
            return lambda scope: get(scope[_SELF])
        return lambda scope: next((get(row) for row in start(scope)), None)

    def _walk(
        self, path: Sequence[str], names: Mapping[str, str]
    ) -> tuple[str, Callable[[_Scope], Sequence[Any]]]:
        """Return the resource at the end of a path of links, and a function that returns its rows."""
        variable = path[0] if path and path[0] in names else _SELF
        name = names[variable]
        steps = []
        for link in path[variable != _SELF :]:
            name, follow = self._linked(name, link)
            steps.append(follow)

        def walk(scope: _Scope) -> Sequence[Any]:
            rows: Sequence[Any] = (scope[variable],)
            for follow in steps:
                rows = [item for row in rows for item in follow(row)]
            return rows

        return name, walk


def _sort_key(value: _Condition) -> _Getter:
    """Return a sort key that puts null last, as the database does."""

    def key(row: Any) -> tuple[bool, Any]:
        found = value({_SELF: row})
        return found is None, 0 if found is None else found

    return key


def _unknown(name: str) -> NoReturn:
    raise UnknownName(name)
