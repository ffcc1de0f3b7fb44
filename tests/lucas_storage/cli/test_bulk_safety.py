"""Names of objects come from whoever may write them; none of them may reach beyond the directory they are copied to."""

from __future__ import annotations

from urllib.parse import quote

import pytest

HERE = "lucas://default/my-bucket/data"
BAD = {
    "../outside": "'.' or '..'",
    "deep/../../outside": "'.' or '..'",
    "./a": "'.' or '..'",
    "deep/.": "'.' or '..'",
    "/etc/outside": "an absolute path",
    "deep//a": "an empty segment",
    "folder/": "an empty segment",
    "C:/outside": "an absolute path",
    "C:outside": "an absolute path",
    f"{'n' * 256}": "a segment that is too long",
    f"{'é' * 128}/a": "a segment that is too long",
    f".download-{'0' * 32}.part": "unfinished downloads",
}


@pytest.fixture
def written(client):
    def write(*names):
        for name in names:
            client.put_object("my-bucket", f"data/{name}", b"content")

    return write


@pytest.fixture(params=["cp", "sync"])
def fetch(request, invoke):
    """Download everything into the folder ``in/out``, by each of the two commands that do."""
    options = {"cp": ["cp", "-r"], "sync": ["sync"]}[request.param]
    return lambda: invoke(*options, HERE, "in/out")


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


@pytest.mark.few(8)
@pytest.mark.parametrize(("name", "why"), BAD.items())
def test_a_name_that_is_no_path_inside_is_refused_and_the_rest_copied(fetch, written, tmp_path, name, why):
    written("good", name)
    result = fetch()

    assert result.exit_code == 1
    assert why in result.stderr
    assert "1 copied, " in result.stderr
    assert everything(tmp_path) == ["in/out/good"]


def test_a_path_that_is_too_long_is_refused(fetch, written, tmp_path, monkeypatch):
    folder = tmp_path / ("d" * 200)
    folder.mkdir()
    monkeypatch.chdir(folder)
    written("good", "/".join(["\N{MUSICAL SYMBOL G CLEF}" * 62] * 16))
    result = fetch()

    assert result.exit_code == 1
    assert "a path that is too long" in result.stderr
    assert everything(folder) == ["in/out/good"]


def test_two_names_for_one_path_are_not_mixed_up(fetch, written, tmp_path):
    written("a", "a/b", "a/c/d", "good")
    result = fetch()

    assert result.exit_code == 1
    assert result.stderr.count("would take the place of another one") == 2
    assert everything(tmp_path) == ["in/out/a", "in/out/good"]


def test_a_link_that_leads_out_is_not_written_through(fetch, written, tmp_path):
    inside, outside = tmp_path / "in" / "out", tmp_path / "outside"
    inside.mkdir(parents=True)
    outside.mkdir()
    (outside / "file").write_text("precious")
    (inside / "folder").symlink_to(outside)
    (inside / "file").symlink_to(outside / "file")
    (inside / "dangling").symlink_to(outside / "new")
    (inside / "up").symlink_to("..")
    written("good", "folder/new", "file", "dangling", "up/new")
    result = fetch()

    assert result.exit_code == 1
    assert result.stderr.count("by a symbolic link") == 4
    assert everything(outside) == ["file"]
    assert (outside / "file").read_text() == "precious"
    assert not (tmp_path / "in" / "new").exists()
    assert (inside / "good").read_text() == "content"


def test_a_link_that_stays_inside_is_followed(fetch, written, tmp_path):
    inside = tmp_path / "in" / "out"
    (inside / "real").mkdir(parents=True)
    (inside / "link").symlink_to("real")
    written("link/a")

    assert fetch().exit_code == 0
    assert (inside / "real" / "a").read_text() == "content"


def test_the_folder_itself_may_be_a_link(fetch, written, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "out").symlink_to(tmp_path / "real")
    written("a")

    assert fetch().exit_code == 0
    assert everything(tmp_path / "real") == ["a"]


def test_a_file_where_a_folder_is_needed_is_a_failure_and_stays(fetch, written, tmp_path):
    (tmp_path / "in" / "out").mkdir(parents=True)
    (tmp_path / "in" / "out" / "a").write_text("mine")
    written("a/b", "good")
    result = fetch()

    assert result.exit_code == 1
    assert (tmp_path / "in" / "out" / "a").read_text() == "mine"
    assert (tmp_path / "in" / "out" / "good").exists()


def test_a_single_object_does_not_choose_its_place_either(invoke, written, tmp_path):
    written("..", "C:x")
    (tmp_path / "folder").mkdir()
    results = [invoke("cp", f"{HERE}/{name}", "folder/") for name in ("..", "C:x")]

    assert [result.exit_code for result in results] == [2, 2]
    assert everything(tmp_path) == []


def test_what_is_refused_can_be_copied_alone_under_another_name(invoke, written, tmp_path):
    written("../outside")

    assert invoke("cp", f"{HERE}/../outside", "file").exit_code == 0
    assert everything(tmp_path) == ["file"]


def test_a_matched_name_is_checked_as_well(invoke, written, tmp_path):
    written("../outside", "good")
    result = invoke("cp", f"{HERE}/**", "out")

    assert result.exit_code == 1
    assert everything(tmp_path) == ["out/good"]


@pytest.mark.parametrize("name", ["x\x1b]0;y\x07", "\u202ex", "x\nforged"])
def test_an_escape_sequence_in_the_path_of_a_single_object_does_not_reach_the_terminal(invoke, written, tmp_path, name):
    written(name)
    (tmp_path / name).mkdir()
    (tmp_path / name / name).symlink_to("/dev/full/x")
    refused = invoke("cp", f"{HERE}/{quote(name)}", name)
    failed = invoke("cp", f"{name}/missing", HERE)

    for result in (refused, failed):
        assert result.exit_code != 0
        assert result.stderr.removesuffix("\n").isprintable()


def test_an_escape_sequence_in_a_name_does_not_reach_the_terminal(invoke, written):
    written("\x1b[2J/../x")
    result = invoke("cp", "-r", HERE, "out")

    assert "\x1b" not in result.stderr
