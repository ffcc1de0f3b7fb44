from __future__ import annotations

import copy
import pickle
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from actorc.storage.settings_file import OF_CLIENT, OF_PLUGIN
from lucas_storage import ArtifactRef, Storage, settings, with_storage
from lucas_storage.declared_settings import WAYS
from lucas_storage.errors import SettingsError, UnknownStoreError
from lucas_storage.settings import of_step, resolve, storage_context
from lucas_storage.storage import storage_for

SECRET = "hunter2-hunter2-hunter2"


@pytest.fixture(autouse=True)
def config(tmp_path, monkeypatch):
    """A clean environment, and the settings file that is not there yet."""
    for way in WAYS:
        monkeypatch.delenv(way.variable, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "lucas-storage.toml"


def test_the_defaults_are_those_documented(tmp_path):
    found = resolve()

    assert (found.endpoint().value, found.endpoint().origin) == ("localhost:9000", "built-in default")
    assert (found.bucket.value, found.prefix.value, found.store.value) == ("lucas-artifacts", "a", "default")
    assert (found.inline_max.value, found.cache_max.value) == (65536, 10 << 30)
    assert tmp_path / "cache" / "lucas-storage" == found.cache_dir.value
    assert (found.pickle.value, found.signing_keys.keys) == ("signed", ())
    assert (found.access_key.value, found.secret_key.value) == (None, None)


def test_each_place_gives_way_to_the_one_before_it(config, monkeypatch):
    origins = []

    def note(**overrides):
        found = resolve(**overrides)
        origins.append((found.bucket.value, found.bucket.origin))

    config.write_text('bucket = "from-file"')
    note()
    monkeypatch.setenv("LUCAS_STORAGE_BUCKET", "from-env")
    note()
    with storage_context(bucket="from-context"):
        note()
        with storage_context(bucket="from-inner"):
            note()
        note(bucket="from-argument")
        note(bucket=None)
    note()

    assert origins == [
        ("from-file", str(config)),
        ("from-env", "LUCAS_STORAGE_BUCKET"),
        ("from-context", "storage_context"),
        ("from-inner", "storage_context"),
        ("from-argument", "argument"),
        ("from-context", "storage_context"),
        ("from-env", "LUCAS_STORAGE_BUCKET"),
    ]


def test_fields_are_resolved_one_by_one(config, monkeypatch):
    config.write_text('access_key = "AK"\ninline_max = 1')
    monkeypatch.setenv("LUCAS_STORAGE_INLINE_MAX", "2KiB")

    found = resolve(prefix="x/y")

    assert (found.access_key.value, found.inline_max.value, found.prefix.value) == ("AK", 2048, "x/y")


def test_a_changed_file_is_read_again(config):
    config.write_text('bucket = "one-1"')
    before = resolve().bucket.value
    config.write_text('bucket = "second"')

    assert (before, resolve().bucket.value) == ("one-1", "second")


def test_stores_have_addresses_of_their_own(config, monkeypatch):
    config.write_text('endpoint = "file:1"\n[endpoints]\ndev = "dev:1"\nprod = "prod:0"')
    monkeypatch.setenv("LUCAS_STORAGE_ENDPOINTS", "prod=a:9000, b:9000 ,lab=c:1")

    with storage_context(endpoints={"lab": "d:1"}):
        found = resolve()

    addresses = {store: found.endpoint(store).value for store in found.endpoints}
    assert addresses == {"default": "file:1", "dev": "dev:1", "prod": "a:9000,b:9000", "lab": "d:1"}
    assert found.endpoint("prod").origin == "LUCAS_STORAGE_ENDPOINTS"


def test_an_unknown_store_is_refused_with_the_known_ones(monkeypatch):
    monkeypatch.setenv("LUCAS_STORAGE_ENDPOINTS", "prod=a:9000")

    with pytest.raises(UnknownStoreError, match=r"'dev' \(it knows default, prod\); set LUCAS_STORAGE_ENDPOINTS"):
        resolve().endpoint("dev")


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("90s", 90.0),
        ("1.5 m", 90.0),
        ("48h", 172_800.0),
        ("30d", 2_592_000.0),
        (60, 60.0),
        (timedelta(days=1), 86_400.0),
    ],
)
def test_lengths_of_time_have_units(given, seconds):
    assert resolve(grace=given).grace.value == seconds


def test_how_long_things_are_kept_is_documented():
    found = resolve()

    assert (found.ttl.value, found.grace.value) == (30 * 86_400.0, 48 * 3600.0)
    assert (found.resume.value, found.progress.value) == (False, True)


@pytest.mark.parametrize(("text", "on"), [("1", True), ("TRUE", True), ("0", False), ("off", False), ("", None)])
def test_whether_to_resume_is_asked_cheaply(config, monkeypatch, text, on):
    monkeypatch.setenv("LUCAS_STORAGE_RESUME", text)
    by_variable = of_step().resume
    with storage_context(resume=True):
        by_context = of_step().resume
    monkeypatch.delenv("LUCAS_STORAGE_RESUME")
    config.write_text("resume = true")

    assert (by_variable, by_context, of_step().resume) == (on, True, True)


def test_a_step_that_stores_nothing_looks_for_settings_once(monkeypatch):
    step = with_storage(lambda data: data)
    lookups = []
    of_step = settings.of_step
    monkeypatch.setattr(settings, "of_step", lambda: lookups.append("of a step") or of_step())
    monkeypatch.setattr(settings, "resolve", lambda **_: lookups.append("all"))

    assert step(data={"a": [1, 2.5]}) == {"a": [1, 2.5]}
    assert lookups == ["of a step"]


def test_a_step_that_stores_its_result_looks_for_all_settings_once(storage, monkeypatch):
    step = with_storage(lambda size: bytes(size))
    step(size=100_000)  # makes the handle
    lookups = []
    monkeypatch.setattr(settings, "resolve", lambda **given: lookups.append(given) or resolve(**given))

    ref = ArtifactRef.parse(step(size=200_000))

    assert (ref.store, ref.size) == ("default", 200_000)
    assert lookups == [{}]


def test_a_step_stores_in_the_store_of_the_settings(config, monkeypatch):
    begun = of_step()
    monkeypatch.setenv("LUCAS_STORAGE_STORE", "lab")
    by_variable = of_step()
    with storage_context(store="other"):
        by_context = of_step()

    assert [each.store for each in (begun, by_variable, by_context)] == ["default", "lab", "other"]
    monkeypatch.setenv("LUCAS_STORAGE_STORE", "No Store")
    with pytest.raises(SettingsError, match="LUCAS_STORAGE_STORE"):
        _ = of_step().store


def test_a_step_goes_by_the_settings_of_its_beginning(config, monkeypatch):
    begun = of_step()
    with storage_context(inline_max=7):
        within = of_step()
    monkeypatch.setenv("LUCAS_STORAGE_INLINE_MAX", "9")
    config.write_text("resume = true")

    assert (begun.inline_max, within.inline_max, of_step().inline_max) == (64 << 10, 7, 9)
    assert (begun.resume, of_step().resume) == (None, True)


def test_a_setting_of_steps_that_cannot_be_used_fails_those_alone_who_need_it(monkeypatch):
    monkeypatch.setenv("LUCAS_STORAGE_INLINE_MAX", "many")

    assert of_step().resume is None
    with pytest.raises(SettingsError, match="LUCAS_STORAGE_INLINE_MAX"):
        _ = of_step().inline_max


def test_empty_variables_are_not_set(monkeypatch):
    monkeypatch.setenv("STORAGE_ENDPOINT", "")
    monkeypatch.setenv("LUCAS_STORAGE_INLINE_MAX", "  ")

    assert (resolve().endpoint().value, resolve().inline_max.value) == ("localhost:9000", 65536)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LUCAS_STORAGE_INLINE_MAX", "-1"),
        ("LUCAS_STORAGE_INLINE_MAX", "64 kbit"),
        ("LUCAS_STORAGE_CACHE_MAX", "lots"),
        ("LUCAS_STORAGE_BUCKET", "Not A Bucket"),
        ("LUCAS_STORAGE_PREFIX", "/a"),
        ("LUCAS_STORAGE_PREFIX", "a/"),
        ("LUCAS_STORAGE_PICKLE", "allow"),
        ("LUCAS_STORAGE_STORE", "Prod"),
        ("LUCAS_STORAGE_RESUME", "maybe"),
        ("LUCAS_STORAGE_PROGRESS", "2"),
        ("LUCAS_STORAGE_TRACEBACKS", "long"),
        ("LUCAS_STORAGE_TTL", "30 days"),
        ("LUCAS_STORAGE_GRACE", "-1h"),
        ("LUCAS_STORAGE_ENDPOINTS", "a:9000"),
        ("LUCAS_STORAGE_ENDPOINTS", "Prod=a:9000"),
        ("LUCAS_STORAGE_ENDPOINTS", "prod="),
        ("LUCAS_STORAGE_ENDPOINTS", "prod=a:1,prod=b:1"),
        ("LUCAS_STORAGE_SIGNING_KEY", "short"),
        ("LUCAS_STORAGE_SIGNING_KEY", f"{SECRET},short"),
        ("LUCAS_STORAGE_SIGNING_KEY", " , "),
        ("LUCAS_STORAGE_SIGNING_KEY_FILE", "/nowhere/at/all"),
    ],
)
def test_a_value_that_cannot_be_used_names_its_variable_and_no_secret(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)

    with pytest.raises(SettingsError) as caught:
        resolve()

    assert variable in str(caught.value)
    assert SECRET not in str(caught.value)


def test_every_malformed_value_is_named_where_it_was_given(config):
    with pytest.raises(SettingsError, match="inline_max of argument"):
        resolve(inline_max=True)
    with pytest.raises(SettingsError, match="inline_max of storage_context"), storage_context(inline_max="x"):
        pass
    config.write_text("inline_max = 1.5")
    with pytest.raises(SettingsError, match=str(config)):
        resolve()
    config.write_text("inline_maximum = 1")
    with pytest.raises(SettingsError, match="inline_maximum"):
        resolve()
    config.write_text("not toml")
    with pytest.raises(SettingsError, match="TOML"):
        resolve()


def test_names_that_do_not_exist_are_refused():
    with pytest.raises(TypeError, match="known are"):
        resolve(buckt="x")
    with pytest.raises(TypeError, match="known are"), storage_context(buckt="x"):
        pass


def test_signing_keys_come_as_a_list_in_text_or_in_a_file(tmp_path, monkeypatch):
    file = tmp_path / "keys"
    file.write_text(f"{SECRET}\n\nolder-{SECRET}\n")
    monkeypatch.setenv("LUCAS_STORAGE_SIGNING_KEY_FILE", str(file))
    from_file = resolve().signing_key
    monkeypatch.setenv("LUCAS_STORAGE_SIGNING_KEY", f"new-{SECRET}, {SECRET}")
    from_text = resolve().signing_key

    assert ((SECRET.encode(), b"older-" + SECRET.encode()), "LUCAS_STORAGE_SIGNING_KEY_FILE") == (
        from_file.value,
        from_file.origin,
    )
    assert (b"new-" + SECRET.encode(), SECRET.encode()) == from_text.value


def test_a_signing_key_that_others_may_write_is_refused_and_one_they_may_read_is_told(tmp_path, monkeypatch, caplog):
    file = tmp_path / "keys"
    file.write_text(SECRET)
    monkeypatch.setenv("LUCAS_STORAGE_SIGNING_KEY_FILE", str(file))
    file.chmod(0o644)
    readable = resolve().signing_key.value
    file.chmod(0o666)
    file.write_text(SECRET + "-and-more")

    assert readable == (SECRET.encode(),)
    assert "other users may read the signing keys" in caplog.text
    with pytest.raises(SettingsError, match=r"may write to .*mode 0666.*'chmod go-w'"):
        resolve()


def test_a_signing_key_file_given_nearer_wins_over_a_key_given_farther(tmp_path, monkeypatch):
    file = tmp_path / "keys"
    file.write_text(SECRET)
    monkeypatch.setenv("LUCAS_STORAGE_SIGNING_KEY", "far-away-" + SECRET)

    with storage_context(signing_key_file=file):
        found = resolve().signing_keys

    assert (SECRET.encode(),) == found.keys


def test_denying_pickle_takes_the_keys_out_of_use(monkeypatch):
    monkeypatch.setenv("LUCAS_STORAGE_PICKLE", "deny")

    assert resolve(signing_key=SECRET).signing_keys.denied


def test_no_secret_is_shown_and_none_is_pickled(monkeypatch):
    monkeypatch.setenv("STORAGE_ACCESS_KEY", SECRET)
    monkeypatch.setenv("STORAGE_SECRET_KEY", SECRET)
    monkeypatch.setenv("LUCAS_STORAGE_SIGNING_KEY", SECRET)
    found = resolve()

    assert SECRET not in f"{found!r} {found} {found.access_key!r} {found.signing_keys!r}"
    assert "STORAGE_SECRET_KEY" in repr(found)
    for thing in (found, found.secret_key, found.signing_keys):
        with pytest.raises(TypeError, match="never shipped"):
            pickle.dumps(thing)
        with pytest.raises(TypeError, match="never shipped"):
            copy.copy(thing)


def test_a_context_does_not_leak_into_other_threads():
    seen = []
    with storage_context(bucket="only-here"):
        thread = threading.Thread(target=lambda: seen.append(resolve().bucket.value))
        thread.start()
        thread.join()

    assert seen == ["lucas-artifacts"]


def test_a_context_ends_when_its_body_raises():
    with pytest.raises(KeyError), storage_context(bucket="only-here"):
        raise KeyError

    assert resolve().bucket.value == "lucas-artifacts"


def test_what_is_shipped_is_policy_that_was_set_here_and_nothing_else(monkeypatch):
    nothing = {"store": None, "inline_max": None, "pickle": None}
    monkeypatch.setenv("STORAGE_SECRET_KEY", SECRET)
    unset = settings.shipped_policy(nothing)
    monkeypatch.setenv("LUCAS_STORAGE_PICKLE", "deny")
    with storage_context(inline_max=7):
        here = settings.shipped_policy({**nothing, "store": "prod"})

    assert nothing == unset
    assert here == {"store": "prod", "inline_max": 7, "pickle": False}


def test_relative_xdg_directories_are_ignored(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")

    assert Path.home() / ".cache" / "lucas-storage" == resolve().cache_dir.value


@pytest.mark.parametrize("give", ["environment", "storage_context", "argument"])
def test_a_relative_path_stays_where_it_was_when_it_was_read(give, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if give == "environment":
        monkeypatch.setenv("LUCAS_STORAGE_CACHE", "here/cache")
    overrides = {"cache_dir": "here/cache"} if give == "argument" else {}
    with storage_context(**({"cache_dir": "here/cache"} if give == "storage_context" else {})):
        first = resolve(**overrides).cache_root
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        with storage_context(bucket="another"):
            found = [first, resolve(**({"cache_dir": first} if overrides else {})).cache_root]

    assert found == [tmp_path / "here" / "cache"] * 2


def test_a_relative_path_in_the_file_begins_where_the_file_is(config, tmp_path, monkeypatch):
    config.write_text('cache_dir = "copies"\nsigning_key_file = "key"')
    (tmp_path / "key").write_text(SECRET)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    found = resolve()

    assert (found.cache_root, found.signing_key.value) == (tmp_path / "copies", (SECRET.encode(),))


def test_a_present_directory_that_is_gone_is_told_apart(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()

    with pytest.raises(SettingsError, match="must be an absolute path, since the present directory is gone"):
        resolve(cache_dir="cache")


@pytest.fixture
def homeless(monkeypatch):
    """The environment of a user whom nobody entered, as containers have them."""

    def unknown(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr("pwd.getpwuid", unknown)
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("homeless")
@pytest.mark.parametrize("home", [None, "", "relative"])
def test_without_a_home_only_what_needs_one_asks_for_a_setting(home, tmp_path, monkeypatch):
    if home is not None:
        monkeypatch.setenv("HOME", home)

    assert resolve(cache_dir=tmp_path).cache_root == tmp_path
    with pytest.raises(
        SettingsError, match=r"no directory for local copies, since HOME is not set .* LUCAS_STORAGE_CACHE"
    ):
        _ = resolve().cache_root
    with pytest.raises(SettingsError, match="a path without ~, since HOME is not set"):
        resolve(cache_dir="~/cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert resolve().cache_root == tmp_path / "lucas-storage"


def test_an_empty_home_counts_as_unset(tmp_path, monkeypatch):
    import pwd
    from types import SimpleNamespace

    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("HOME", "")
    monkeypatch.setattr(pwd, "getpwuid", lambda _: SimpleNamespace(pw_dir=str(tmp_path)))

    assert resolve().cache_root == tmp_path / ".cache" / "lucas-storage"
    assert resolve(cache_dir="~/x").cache_root == tmp_path / "x"


def test_an_unknown_user_in_a_path_is_refused():
    with pytest.raises(SettingsError, match="a path that does not begin with ~ and an unknown user"):
        resolve(cache_dir="~nobody-of-this-name/cache")


PROFILES = """
bucket = "top-bucket"

[profiles.lab]
endpoint = "lab:1"
bucket = "lab-bucket"
use_ssl = true

[profiles.other]
bucket = "other-bucket"
"""


def test_the_file_may_have_every_setting_of_the_plugin():
    assert {way.name for way in WAYS} == (OF_PLUGIN | OF_CLIENT & {way.name for way in WAYS} | {"profile"})
    assert {way.name for way in WAYS} > OF_PLUGIN


def test_a_profile_comes_right_behind_the_place_that_names_it(config, monkeypatch):
    config.write_text(PROFILES)
    found = [resolve().bucket.value]
    monkeypatch.setenv("STORAGE_PROFILE", "other")
    found.append(resolve().bucket.value)
    monkeypatch.setenv("LUCAS_STORAGE_BUCKET", "variable")
    found.append(resolve().bucket.value)
    with storage_context(profile="lab"):
        found.append(resolve().bucket.value)
        with storage_context(bucket="inner"):
            found.append(resolve().bucket.value)
        found.append(resolve(profile="other").bucket.value)
    with storage_context(profile="lab", bucket="beside"):
        found.append(resolve().bucket.value)

    assert found == ["top-bucket", "other-bucket", "variable", "lab-bucket", "inner", "other-bucket", "beside"]


def test_a_step_goes_by_the_profile_in_force(config, monkeypatch):
    config.write_text("[profiles.lab]\ninline_max = 7\nresume = true")
    with storage_context(profile="lab"):
        assert (of_step().inline_max, of_step().resume) == (7, True)
    monkeypatch.setenv("STORAGE_PROFILE", "lab")

    assert (of_step().inline_max, of_step().resume) == (7, True)


def test_the_handle_of_a_profile_is_a_client_of_it(config):
    config.write_text(PROFILES)
    with storage_context(profile="lab"), Storage() as storage:
        assert (storage.endpoint, storage.use_ssl, storage.bucket) == ("lab:1", True, "lab-bucket")
        assert storage_for() is storage_for()
    with storage_context(profile="other"):
        assert (storage_for().use_ssl, storage_for().bucket) == (False, "other-bucket")


def test_a_profile_that_is_not_there_is_refused_where_it_is_named(config):
    config.write_text(PROFILES)
    with pytest.raises(SettingsError, match="there is no profile 'lap'"), storage_context(profile="lap"):
        pass


def test_built_in_settings_look_at_nothing_of_this_process(monkeypatch):
    monkeypatch.setenv("LUCAS_STORAGE_BUCKET", "of-the-environment")
    monkeypatch.setenv("STORAGE_ENDPOINT", "elsewhere:1")
    monkeypatch.setenv("STORAGE_SECRET_KEY", "secret")
    with storage_context(prefix="of-the-context"):
        found = settings.built_in(bucket="mine")

    assert (found.bucket.value, found.prefix.value, found.secret_key.value) == ("mine", "a", None)
    assert found.endpoint().value == "localhost:9000"
    with pytest.raises(TypeError, match="colour"):
        settings.built_in(colour="red")
