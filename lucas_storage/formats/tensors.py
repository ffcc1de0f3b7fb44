"""Tensors of torch, alone or in a dict, as safetensors files, which hold nothing but tensors and text.

The metadata of the file say whether it is one tensor or a dict, the order of the names, and which tensors require
gradients. A file that another program wrote is a dict.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from lucas_storage.errors import DecodeError, NoFormatError

from .base import Encoded, Format, Source, cannot_become, is_loaded, not_mine, package, stored, type_name

if TYPE_CHECKING:
    from lucas_storage.signing import Verified

_ABOUT: Final = "lucas"
"""Key of our metadata within the file, JSON."""
_ALONE: Final = "tensor"
"""Name of a tensor that is no member of a dict."""
_VERSIONS: Final = "_metadata"
"""Attribute of the `OrderedDict` that a module of torch gives as its state: versions by module."""
_RESERVED: Final = "__metadata__"
"""No name of a tensor: files have their metadata there."""
_DICTS: Final[dict[str, type]] = {"dict": dict, "OrderedDict": OrderedDict}
_DTYPES: Final = frozenset(
    f"torch.{name}"
    for name in (
        *("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"),
        *("float8_e4m3fn", "float8_e5m2", "uint16", "uint32", "uint64", "complex64"),
    )
)
"""Those that files have; which of them depends on the version of safetensors, so `encode` may still refuse one."""


class SafetensorsFormat(Format):
    """A `torch.Tensor`, or a dict of them under names: dtypes, shapes and values come back, on the CPU.

    Dense tensors that are no result of a computation with gradients. Tensors that share memory come back apart.
    """

    id = "safetensors@1"
    extension = ".safetensors"

    def handles(self, value: object) -> bool:
        """Return whether `value` is such a tensor, or a dict of them, and safetensors is installed."""
        tensors = _members(value)
        return tensors is not None and all(map(_is_held, tensors.values())) and find_spec("safetensors") is not None

    def encode(self, value: Any) -> Encoded:
        """Return the file; the tensors are copied, from whatever device they are on."""
        tensors = _members(value)
        if not tensors:
            raise not_mine(self.id, value, "pass a torch.Tensor or a dict of them, with names as keys")
        for name, tensor in tensors.items():
            if not _is_held(tensor):
                raise NoFormatError(
                    f"{self.id} cannot hold the tensor {name!r}, of {_described(tensor)}; call detach(), to_dense() "
                    "or to() first"
                )
        about = {
            "class": type(value).__name__ if isinstance(value, dict) else _ALONE,
            "names": list(tensors),
            "requires_grad": [name for name, tensor in tensors.items() if tensor.requires_grad],
            "attributes": vars(value) if type(value) is OrderedDict else {},
        }
        library = package("safetensors.torch", "torch")
        try:
            return Encoded((library.save(_apart(tensors), {_ABOUT: json.dumps(about)}),))
        except Exception as error:  # the library has errors of its own, and those of Python
            raise NoFormatError(f"safetensors cannot hold a {type_name(value)} here, {error}") from error

    def decode(self, source: Source, want: str | None, *, proof: Verified | None = None) -> Any:
        """Return the tensor or the dict, or the stored file."""
        del proof
        as_stored = stored(source, want)
        if as_stored is not None:
            return as_stored
        if want in ("str", "ndarray", "table", "dataframe", "polars"):
            raise cannot_become(self.id, want, "torch.Tensor or dict")
        library = package("safetensors.torch", "torch")
        data = bytes(source.read())
        try:
            return _arranged(library.load(data), _metadata(data).get(_ABOUT))
        except Exception as error:
            raise DecodeError("an artifact of format safetensors@1 is no file that safetensors reads here") from error


def is_tensors(value: object) -> bool:
    """Return whether `value` is a dict of tensors, which one file holds; asked of every container."""
    # By one of them first: most dicts hold something else.
    first = next(iter(value.values()), None) if isinstance(value, dict) else None
    return is_loaded(first, "torch") and SafetensorsFormat().handles(value)


def _members(value: Any) -> dict[str, Any] | None:
    """Return tensors by name, and None for what is neither a tensor nor a dict of them."""
    if is_loaded(value, "torch"):
        return {_ALONE: value} if _is_tensor(value) else None
    if type(value) not in _DICTS.values() or not value or not _has_plain_attributes(value):
        return None
    named = all(type(name) is str and name != _RESERVED for name in value)
    return value if named and all(map(_is_tensor, value.values())) else None


def _has_plain_attributes(value: Any) -> bool:
    """Return whether a dict has no attributes but the versions of modules, which a `state_dict` has."""
    attributes = getattr(value, "__dict__", {})
    try:
        versions = OrderedDict(json.loads(json.dumps(attributes.get(_VERSIONS, {}))))
    except (TypeError, ValueError, RecursionError):
        return False
    return attributes in ({}, {_VERSIONS: versions})


def _is_tensor(value: Any) -> bool:
    return type(value).__name__ == "Tensor" and is_loaded(value, "torch")


def _is_held(tensor: Any) -> bool:
    return (
        str(tensor.layout) == "torch.strided"
        and str(tensor.dtype) in _DTYPES
        and tensor.grad_fn is None
        and not tensor.is_meta
    )


def _apart(tensors: dict[str, Any]) -> dict[str, Any]:
    """Return the tensors as safetensors takes them: in the memory of the CPU, without gaps, each in its own."""
    found: dict[str, Any] = {}
    taken: set[int] = set()
    for name, tensor in tensors.items():
        plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
        address = plain.untyped_storage().data_ptr()
        found[name] = plain.clone() if address in taken else plain
        taken.add(address)
    return found


def _described(tensor: Any) -> str:
    history = " with gradients" if tensor.grad_fn is not None else ""
    return f"{tensor.dtype}, {tensor.layout}, on {tensor.device}{history}"


def _metadata(data: bytes) -> dict[str, str]:
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return dict(header.get(_RESERVED) or {})


def tensors_of(head: bytes) -> dict[str, tuple[str, list[int], int]]:
    """Return type, shape and bytes of each tensor of a file by its name, from the first bytes, which hold the header.

    Raises:
        ValueError: The header is damaged, or longer than `head`; also TypeError, LookupError and RecursionError.
    """
    end = 8 + int.from_bytes(head[:8], "little")
    if end > len(head):
        raise ValueError("the header is longer than a preview reads")
    fields = json.loads(head[8:end])
    return {
        name: (str(field["dtype"]), list(field["shape"]), field["data_offsets"][1] - field["data_offsets"][0])
        for name, field in fields.items()
        if name != _RESERVED
    }


def _arranged(tensors: dict[str, Any], text: str | None) -> Any:
    if text is None:
        return tensors
    about = json.loads(text)
    for name in about["requires_grad"]:
        tensors[name].requires_grad_(True)  # noqa: FBT003  # torch takes it by position
    if about["class"] == _ALONE:
        return tensors[_ALONE]
    if sorted(about["names"]) != sorted(tensors):
        raise ValueError("the names are others than those of the tensors")
    found = _DICTS[about["class"]]((name, tensors[name]) for name in about["names"])
    versions = about.get("attributes", {}).get(_VERSIONS)
    if versions is not None:
        found._metadata = OrderedDict(versions)  # noqa: SLF001  # torch reads it there
    return found
