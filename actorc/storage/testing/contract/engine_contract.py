"""All cases, over the engine that a subclass opens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import ClassVar

import pytest

from actorc.storage.client import StorageClient
from actorc.storage.server.store.store import ObjectStore

from .cases.batch_delete import BatchDeleteCases
from .cases.batches import BatchCases, BatchRuleCases
from .cases.buckets import BucketsCases
from .cases.capabilities import CapabilitiesCases
from .cases.concurrency import ConcurrencyCases
from .cases.conditions import ConditionsCases
from .cases.copy import CopyCases
from .cases.durability import DurabilityCases
from .cases.idempotency import IdempotencyCases
from .cases.listing import ListingCases
from .cases.multipart import MultipartCases
from .cases.objects import ObjectsCases
from .cases.ranges import RangesCases
from .cases.ttl import TtlCases
from .cases.uploads import UploadsCases
from .cases.views import ViewsCases
from .demands import demand_of
from .store_face import StoreFace
from .subject import Opened, opened


class EngineContract(
    ObjectsCases,
    RangesCases,
    ViewsCases,
    UploadsCases,
    ConditionsCases,
    CopyCases,
    BatchDeleteCases,
    BatchCases,
    BatchRuleCases,
    ListingCases,
    MultipartCases,
    BucketsCases,
    TtlCases,
    IdempotencyCases,
    ConcurrencyCases,
    DurabilityCases,
    CapabilitiesCases,
):
    """The contract of an engine: a subclass whose name pytest collects is tested.

    It defines `open_engine` and, where that differs, `lacks`; see `Subject`. The cases of a class share one engine
    behind each face, which is emptied after each of them: opening one takes longer than most cases.
    """

    _open: ClassVar[ExitStack]
    _shared: ClassVar[dict[str, Opened]]

    @classmethod
    def setup_class(cls) -> None:
        """Begin with nothing open."""
        cls._open = ExitStack()
        cls._shared = {}

    @classmethod
    def teardown_class(cls) -> None:
        """Close what the cases shared; tests elsewhere may count the threads and the open files of their process."""
        cls._open.close()

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Meet each case through the faces it is for."""
        if "face" in metafunc.fixturenames:
            rules_only = demand_of(metafunc.function).is_rule
            metafunc.parametrize("face", [face for face in self.faces if not rules_only or face in self.rule_faces])

    @pytest.fixture(autouse=True)
    def _able(self, request: pytest.FixtureRequest) -> None:
        demand = demand_of(request.function)
        if missing := sorted(demand.needed & set(self.lacks)):
            pytest.skip(f"the engine lacks {', '.join(missing)}")
        if there := sorted(demand.refused - set(self.lacks)):
            pytest.skip(f"the engine has {', '.join(there)}")

    @pytest.fixture
    def subject(self, face: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
        """Yield the face and the rules beneath it, over an engine that has one empty bucket, named ``bucket``."""
        if face not in self._shared:
            engine = self.open_engine(tmp_path_factory.mktemp("engine"))
            self._shared[face] = self._open.enter_context(opened(face, engine))
        # taken out meanwhile: an engine that cannot be emptied is left, so that the other cases begin with another one
        subject = self._shared.pop(face)
        subject.face.create_bucket("bucket")
        yield subject
        subject.empty()
        self._shared[face] = subject

    @pytest.fixture
    def storage(self, subject: Opened) -> StorageClient:
        """Return the face."""
        return subject.face

    @pytest.fixture
    def beneath(self, subject: Opened) -> StoreFace:
        """Return the rules beneath the face, which prepare what it is asked about at less cost."""
        return subject.beneath

    @pytest.fixture
    def store(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
        """Yield the rules over an engine of this case alone, which remembers no idempotency key of others."""
        with closing(self.open_engine(tmp_path_factory.mktemp("engine"))) as engine:
            store = ObjectStore(engine)
            store.create_bucket("bucket")
            yield store
