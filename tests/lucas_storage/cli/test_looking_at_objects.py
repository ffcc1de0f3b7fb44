"""`stat`, `head`, `find`, `tree` and `diff`: they look, and change nothing."""

from __future__ import annotations

import base64
import json
import os

import pytest

from actorc.storage.client import StorageClient

HERE = "lucas://default/my-bucket"


def lines(result):
    assert result.exit_code == 0, result.stderr
    return result.stdout.splitlines()


def records(result):
    return [json.loads(line) for line in lines(result)]


@pytest.fixture
def shelf(client):
    client.put_object("my-bucket", "a.txt", b"1\n2\n3\n", metadata={"owner": "me", "team": "x"})
    client.put_object("my-bucket", "b/one.csv", b"x" * 2048)
    client.put_object("my-bucket", "b/deep/two.csv", b"")
    client.put_object("my-bucket", "c.png", b"\x89PNG\0", "image/png")
    return client


def test_stat_prints_everything(invoke, shelf):
    head = shelf.head_object("my-bucket", "a.txt")
    printed = lines(invoke("stat", "my-bucket/a.txt"))
    (record,) = records(invoke("stat", "--json", "my-bucket/a.txt"))

    assert printed[0] == f"{HERE}/a.txt"
    assert [line.split() for line in printed[1:4]] == [
        ["size", "6", "B"],
        ["type", "text/plain"],
        ["changed", *f"{head['last_modified']:%Y-%m-%d %H:%M:%S}".split(), "UTC"],
    ]
    assert f"  etag        {head['etag']}" in printed
    assert printed[-3:] == ["  metadata", "    owner: me", "    team: x"]
    assert (record["metadata"], record["crc32c"], record["uri"]) == (head["metadata"], head["crc32c"], printed[0])


def test_stat_takes_buckets_and_patterns(invoke, shelf):
    bucket, *_ = records(invoke("stat", "--json", "my-bucket"))
    several = records(invoke("stat", "--json", "my-bucket/*.*"))

    assert bucket["name"] == "my-bucket"
    assert [each["key"] for each in several] == ["a.txt", "c.png"]


@pytest.mark.parametrize(
    ("target", "said"),
    [("my-bucket/b", "others are beneath it"), ("my-bucket/x", "not"), ("no-bucket", "no such bucket")],
)
def test_stat_of_nothing_is_an_error(invoke, shelf, target, said):
    result = invoke("stat", target)

    assert result.exit_code == 3
    assert said in result.stderr


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (["my-bucket/a.txt"], "1\n2\n3\n"),
        (["my-bucket/a.txt", "-n", 2], "1\n2\n"),
        (["my-bucket/a.txt", "-n", 0], ""),
        (["my-bucket/a.txt", "-n", 10**20], "1\n2\n3\n"),
        (["my-bucket/a.txt", "-c", 3], "1\n2"),
        (["my-bucket/b/one.csv", "-c", "1KiB"], "x" * 1024),
        (["my-bucket/b/one.csv"], "x" * 2048),
        (
            ["my-bucket/a.txt", "my-bucket/b/deep/two.csv", "-n", 1],
            f"==> {HERE}/a.txt <==\n1\n\n==> {HERE}/b/deep/two.csv <==\n",
        ),
        (["my-bucket/a.txt", "my-bucket/b/deep/two.csv", "-qn", 1], "1\n"),
    ],
)
def test_head_writes_the_beginning(invoke, shelf, arguments, printed):
    assert invoke("head", *arguments).stdout == printed


def test_head_finds_lines_wherever_they_end(invoke, client):
    content = b"".join(b"%07d" % number + b"y" * (number % 90_000) + b"\n" for number in range(0, 400_000, 33_333))
    client.put_object("my-bucket", "lines", content)

    for count in (1, 5, 12, 13):
        assert invoke("head", "-n", count, "my-bucket/lines").stdout_bytes == b"".join(
            content.splitlines(keepends=True)[:count]
        )


@pytest.fixture
def fetched(monkeypatch):
    """The numbers of bytes that the calls for content asked for."""
    asked, get = [], StorageClient.get_object

    def noted(self, *names, **options):
        asked.append(options.get("length"))
        return get(self, *names, **options)

    monkeypatch.setattr(StorageClient, "get_object", noted)
    return asked


def test_head_holds_a_part_of_a_long_line_only(invoke, client, fetched):
    client.put_object("my-bucket", "long", bytes(24 << 20))

    assert len(invoke("head", "my-bucket/long").stdout_bytes) == 24 << 20
    assert max(fetched) == 8 << 20


def test_head_for_programs_prints_pieces(invoke, shelf):
    (piece,) = records(invoke("head", "--json", "-n", 1, "my-bucket/a.txt"))

    assert (piece["key"], base64.b64decode(piece["data"])) == ("a.txt", b"1\n")


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        ([], ["a.txt", "b/deep/two.csv", "b/one.csv", "c.png"]),
        (["--name", "*.csv"], ["b/deep/two.csv", "b/one.csv"]),
        (["--name", "*.csv", "--name", "*.txt"], ["a.txt", "b/deep/two.csv", "b/one.csv"]),
        (["--path", "b/*"], ["b/one.csv"]),
        (["--path", "**/*.csv"], ["b/deep/two.csv", "b/one.csv"]),
        (["--size", "+1KiB"], ["b/one.csv"]),
        (["--size", "-1KiB", "--size", "+0"], ["a.txt", "c.png"]),
        (["--size", "2k"], []),
        (["--size", "2KiB"], ["b/one.csv"]),
        (["--type", "image/*"], ["c.png"]),
        (["--metadata", "owner"], ["a.txt"]),
        (["--metadata", "owner=y*"], []),
        (["--newer", "1h"], ["a.txt", "b/deep/two.csv", "b/one.csv", "c.png"]),
        (["--older", "1h"], []),
        (["--older", "2999-01-01", "--newer", "2001-01-01T10:00"], ["a.txt", "b/deep/two.csv", "b/one.csv", "c.png"]),
        (["--newer", f"{HERE}/b/deep/two.csv"], ["c.png"]),
        (["--newer", "reference"], ["a.txt", "b/deep/two.csv", "b/one.csv", "c.png"]),
    ],
)
def test_find_lists_what_meets_all_conditions(invoke, shelf, tmp_path, conditions, found):
    (tmp_path / "reference").touch()
    os.utime(tmp_path / "reference", (1, 1))

    assert lines(invoke("find", "my-bucket", *conditions)) == [f"{HERE}/{key}" for key in found]
    assert [each["key"] for each in records(invoke("find", "--json", *conditions))] == found


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["my-bucket", "--newer", "soon"], 2, "'soon' is no length of time such as 7d"),
        (["my-bucket", "--newer", "99999999999d"], 2, "is no length of time such as 7d"),
        (["my-bucket", "--size", "big"], 2, "is not a number of bytes"),
        (["my-bucket/x"], 3, "no key begins like this"),
        (["no-bucket"], 3, "no-bucket"),
    ],
)
def test_find_says_what_is_wrong(invoke, shelf, arguments, code, said):
    result = invoke("find", *arguments)

    assert (result.exit_code, result.stdout) == (code, "")
    assert said in result.stderr


def test_tree_draws_what_is_below(invoke, shelf):
    shelf.put_object("my-bucket", "b/", b"")

    assert lines(invoke("tree", "-s", "my-bucket")) == [
        f"{HERE}/",
        "├── a.txt  (6 B)",
        "├── b/",
        "│   ├── deep/",
        "│   │   └── two.csv  (0 B)",
        "│   └── one.csv  (2 KiB)",
        "└── c.png  (5 B)",
        "",
        "2 directories, 4 objects, 2 KiB",
    ]


@pytest.mark.parametrize(
    ("arguments", "drawn"),
    [
        (["-L", 1, "my-bucket"], ["├── a.txt", "├── b/", "└── c.png"]),
        (["-d", "my-bucket"], ["└── b/", "    └── deep/"]),
        (["my-bucket/b"], ["├── deep/", "│   └── two.csv", "└── one.csv"]),
    ],
)
def test_tree_draws_less_if_told(invoke, shelf, arguments, drawn):
    assert lines(invoke("tree", *arguments))[1:-2] == drawn


def test_tree_goes_down_any_number_of_slashes(invoke, client):
    client.put_object("my-bucket", f"a{'/' * 1022}b", b"")

    assert lines(invoke("tree", "my-bucket"))[-1] == "1022 directories, 1 object, 0 B"


def test_a_key_of_many_segments_is_matched_at_once(invoke, client):
    client.put_object("my-bucket", f"{'a/' * 511}a", b"")
    pattern = "**/a/" * 8 + "b"

    assert lines(invoke("find", "my-bucket", "--path", pattern)) == []
    assert len(lines(invoke("find", "my-bucket", "--path", "**/a/**/a/**"))) == 1


def test_tree_of_nothing_is_an_error_and_of_an_empty_bucket_none(invoke, client):
    assert invoke("tree", "my-bucket/x").exit_code == 3
    assert lines(invoke("tree", "my-bucket"))[-1] == "0 directories, 0 objects, 0 B"


@pytest.fixture
def two(client, tmp_path):
    for name in ("both", "changed", "mine"):
        (tmp_path / "data" / "sub").mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / "sub" / name).write_text(f"{name}\nsame\n")
    for name in ("both", "changed", "theirs"):
        client.put_object("my-bucket", f"data/sub/{name}", f"{name}\nsame\n".replace("changed", "CHANGED").encode())
    return client


def test_diff_of_two_places_names_what_differs(invoke, two):
    result = invoke("diff", "data", f"{HERE}/data")
    found = [json.loads(line) for line in invoke("diff", "--json", "data", f"{HERE}/data").stdout.splitlines()]

    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f"differs: data/sub/changed {HERE}/data/sub/changed (13 B, 13 B)",
        "only in source: data/sub/mine (10 B)",
        f"only in destination: {HERE}/data/sub/theirs (12 B)",
    ]
    assert [(each["result"], each["source_size"], each["destination_size"]) for each in found] == [
        ("differs", 13, 13),
        ("only in source", 10, None),
        ("only in destination", None, 12),
    ]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--exclude", "mine", "--exclude", "theirs"], 1),
        (["--include", "both"], 0),
        (["--by", "size", "--include", "c*"], 0),
    ],
)
def test_diff_compares_what_is_chosen(invoke, two, options, code):
    assert invoke("diff", "-q", "data", f"{HERE}/data", *options).exit_code == code


def test_diff_of_two_texts_prints_their_lines(invoke, two):
    result = invoke("diff", "data/sub/changed", f"{HERE}/data/sub/changed")
    two.put_object("my-bucket", "unended", b"changed\nsame")
    unended = invoke("diff", "data/sub/changed", f"{HERE}/unended")

    assert result.exit_code == 1
    assert result.stdout.splitlines()[2:] == ["@@ -1,2 +1,2 @@", "-changed", "+CHANGED", " same"]
    assert unended.stdout.splitlines()[-2:] == ["+same", "\\ No newline at end of file"]


@pytest.mark.parametrize("option", ["--quiet", "--json"])
def test_diff_reads_no_content_whose_lines_are_not_printed(invoke, two, fetched, option):
    result = invoke("diff", option, f"{HERE}/data/sub/changed", f"{HERE}/data/sub/theirs")

    assert (result.exit_code, fetched) == (1, [])


def test_diff_of_texts_with_too_many_lines_says_that_they_differ(invoke, two):
    two.put_object("my-bucket", "ones", b"".join(b"%d\n" % (number % 101) for number in range(10_001)))
    two.put_object("my-bucket", "twos", b"".join(b"%d\n" % (-number % 101) for number in range(10_001)))
    result = invoke("diff", f"{HERE}/ones", f"{HERE}/twos")

    assert (result.exit_code, result.stdout.split(":")[0]) == (1, "differs")


def test_diff_of_objects_is_by_content_unless_told(invoke, shelf):
    shelf.copy_object("my-bucket", "a.txt", "my-bucket", "copy", metadata={"other": "x"})
    ends = (f"{HERE}/a.txt", f"{HERE}/copy")

    assert [invoke("diff", "-q", "--by", by, *ends).exit_code for by in ("content", "size", "etag", "metadata")] == [
        0,
        0,
        1,
        1,
    ]


def test_bytes_that_are_no_text_differ_in_a_word(invoke, shelf, tmp_path):
    (tmp_path / "c.png").write_bytes(b"\0")

    assert invoke("diff", "c.png", f"{HERE}/c.png").stdout == f"differs: c.png {HERE}/c.png (1 B, 5 B)\n"


@pytest.mark.parametrize(
    ("ends", "code", "said"),
    [
        (("data", "data"), 2, "at least one of the two is in a bucket"),
        (("data", f"{HERE}/data/sub/both"), 2, "name two alike"),
        (("missing", f"{HERE}/data/sub/both"), 3, "missing"),
        (("data", f"{HERE}/missing"), 3, "nothing is beneath this name"),
        (("data", "lucas://default/no-bucket"), 3, "no-bucket"),
        (("data", f"{HERE}/data", "--by", "etag"), 2, "files have none"),
    ],
)
def test_diff_fails_with_another_code_than_one(invoke, two, ends, code, said):
    result = invoke("diff", *ends)

    assert result.exit_code == code
    assert said in result.stderr
