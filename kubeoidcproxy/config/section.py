"""Base of every model: frozen, camelCase in the file, unknown keys refused, and *all* that is wrong is told.

Pydantic stops at a model's first floor: a rule that joins two fields is not asked while a third one is faulty, and a
faulty cluster hides that its name is taken twice.  So a section is never refused in the middle: it keeps the fields
that are right, notes what is wrong, and its rules are asked with what is there.  A rule that reaches for a field
that did not validate is skipped, for that field is reported already.  Only the outermost section raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from kubeoidcproxy.config.wording import wording

Location = tuple[str | int, ...]
Breach = tuple[Location, str]
Rule = Callable[[Any], Iterator[Breach]]
AnySection = TypeVar("AnySection", bound="Section")

_validated: ContextVar[dict[str, Any] | None] = ContextVar("fields of the section at hand", default=None)


class NotValidated(Exception):
    """The field a rule asks for is faulty itself."""


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, hide_input_in_errors=True)

    rules: ClassVar[tuple[Rule, ...]] = ()
    _faults: tuple[InitErrorDetails, ...] = PrivateAttr(default=())

    if not TYPE_CHECKING:  # a declared __getattr__ would silence mypy about misspelt fields

        def __getattr__(self, name: str) -> Any:
            if name in type(self).model_fields:
                raise NotValidated(name)
            return super().__getattr__(name)

    @field_validator("*", mode="after")
    @classmethod
    def _note_field(cls, value: Any, info: ValidationInfo) -> Any:
        fields = _validated.get()
        if fields is not None and info.field_name is not None:
            fields[info.field_name] = value
        return value

    @model_validator(mode="wrap")
    @classmethod
    def _judge(cls, value: Any, build: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        if isinstance(value, cls):
            return value
        fields: dict[str, Any] = {}
        outermost = _validated.get() is None
        token = _validated.set(fields)
        try:
            section, faults = cls._build(value, build, fields)
        finally:
            _validated.reset(token)
        section._faults = (*faults, *_breaches(section))
        found = list(_faults_within(section, ())) if outermost else []
        if found:
            raise ValidationError.from_exception_data(cls.__name__, found, hide_input=True)
        return section

    @classmethod
    def _build(
        cls, value: Any, build: ModelWrapValidatorHandler[Self], fields: dict[str, Any]
    ) -> tuple[Self, list[InitErrorDetails]]:
        if not isinstance(value, dict):
            return cls._without_fields(), [_fault((), "required" if value is None else "must be a mapping")]
        try:
            return build(cls._without_empty_containers(value)), []
        except ValidationError as error:
            lines = error.errors(include_url=False, include_input=False, include_context=True)
            return cls._of_what_is_right(fields, lines), [_as_fault(line) for line in lines]

    @classmethod
    def _without_empty_containers(cls, value: dict[Any, Any]) -> dict[Any, Any]:
        """``limits:`` with every key under it commented out is null to YAML; here it means the defaults."""
        ours = {
            field.alias
            for field in cls.model_fields.values()
            if _is_container(_default(field)) and type(None) not in get_args(field.annotation)
        }
        return {key: item for key, item in value.items() if item is not None or key not in ours}

    @classmethod
    def _of_what_is_right(cls, fields: dict[str, Any], lines: list[ErrorDetails]) -> Self:
        faulty = {line["loc"][0] for line in lines if line["loc"]}
        section = cls._without_fields()
        for name, field in cls.model_fields.items():
            if name in fields:
                section.__dict__[name] = fields[name]
            elif field.alias not in faulty and not field.is_required():
                section.__dict__[name] = _default(field)
        return section

    @classmethod
    def _without_fields(cls) -> Self:
        section = cls.model_construct()
        section.__dict__.clear()
        return section


def judge(model: type[AnySection], value: dict[str, Any], context: dict[str, Any]) -> tuple[AnySection, list[Breach]]:
    """Everything that is wrong, and a section of what is right: more may be judged by it."""
    token = _validated.set({})
    try:
        section = model.model_validate(value, context=context)
    finally:
        _validated.reset(token)
    return section, [(fault["loc"], _message(fault)) for fault in _faults_within(section, ())]


def known(sections: tuple[Any, ...], field: str) -> Iterator[tuple[int, Any]]:
    """The field of every section in which it validated, with the section's place in the list."""
    for index, section in enumerate(sections):
        if field in section.__dict__:
            yield index, section.__dict__[field]


def _default(field: FieldInfo) -> Any:
    return field.get_default(call_default_factory=True, validated_data={})


def _is_container(default: object) -> bool:
    return isinstance(default, Section | tuple | dict)


def _breaches(section: Section) -> Iterator[InitErrorDetails]:
    for rule in section.rules:
        try:
            broken = list(rule(section))
        except NotValidated:
            continue
        yield from (_fault(location, message) for location, message in broken)


def _fault(location: Location, message: str) -> InitErrorDetails:
    # The message is an argument, or pydantic would read braces in it as fields.
    error = PydanticCustomError("rule", "{message}", {"message": message})
    return InitErrorDetails(type=error, loc=location, input=None)


def _message(fault: InitErrorDetails) -> str:
    kind = fault["type"]
    return kind if isinstance(kind, str) else kind.message()


def _as_fault(line: ErrorDetails) -> InitErrorDetails:
    return _fault(line["loc"], wording(line))


def _faults_within(value: object, location: Location) -> Iterator[InitErrorDetails]:
    if isinstance(value, Section):
        for fault in value._faults:
            yield InitErrorDetails(type=fault["type"], loc=(*location, *fault["loc"]), input=None)
        for name, field in type(value).model_fields.items():
            yield from _faults_within(value.__dict__.get(name), (*location, field.alias or name))
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _faults_within(item, (*location, index))
