"""Graphs as SVG and as Mermaid: every node and edge is there, nothing overlaps, and any name is harmless."""

from __future__ import annotations

import random
from itertools import combinations
from xml.etree import ElementTree as ET

import pytest

from lucas_storage.lineage.graph import Edge, Graph, Node, layers_of
from lucas_storage.lineage.graph_mermaid import mermaid
from lucas_storage.lineage.graph_svg import svg
from lucas_storage.lineage.layout import HEIGHT, NODES_MAX, WIDTH, layout_of

SVG = "{http://www.w3.org/2000/svg}"


def graph(edges, **nodes):
    names = dict.fromkeys(name for edge in edges for name in edge) | nodes
    made = [each or Node(key=name, name=name) for name, each in names.items()]
    return Graph(
        name="w", nodes=tuple(made), edges=tuple(Edge(source=source, target=target) for source, target in edges)
    )


def random_graph(count, seed):
    chosen = random.Random(seed)
    edges = [(f"s{chosen.randrange(max(0, at - 9), at)}", f"s{at}") for at in range(1, count) for _ in range(2)]
    return graph(edges, s0=None)


def texts(drawing):
    return [each.text for each in ET.fromstring(drawing).iter(f"{SVG}text")]


def test_a_box_has_name_state_seconds_and_bytes_in_words():
    node = Node(key="k", name="train", state="failed", note="KeyError", seconds=75.4)

    drawing = svg(Graph(name="w", nodes=(node,), edges=()))

    assert texts(drawing) == ["train", "failed · KeyError · 1m 15s"]


def test_a_box_has_the_bytes_that_a_step_made():
    node = Node(key="k", name="train", state="reused", seconds=0.5, size=3 << 20)

    assert texts(svg(Graph(name="w", nodes=(node,), edges=()))) == ["train", "reused · 0.50 s · 3 MiB"]


def test_a_drawing_and_each_of_its_boxes_have_a_title_for_readers_who_do_not_see_it():
    root = ET.fromstring(svg(graph([("load", "clean")])))

    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == root.find(f"{SVG}title").text == "w, 2 steps (2 succeeded)"
    titles = [each.text for each in root.iter(f"{SVG}title")]
    assert {"load", "clean"} <= set(titles)


def test_drawings_can_stand_side_by_side_since_they_have_no_identifiers():
    assert all(
        "id" not in each.attrib and "class" not in each.attrib for each in ET.fromstring(svg(random_graph(9, 1))).iter()
    )


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", '"]; click n0 "javascript:1"', "a\u202eb\x00", "汇总 天气", "end", "x" * 5000]
)
def test_any_name_is_shown_and_means_nothing(name):
    drawn = Graph(name=name, nodes=(Node(key=name, name=name, note=name), Node(key="b", name="b")), edges=())

    root = ET.fromstring(svg(drawn))
    lines = mermaid(drawn).splitlines()

    assert {each.tag.removeprefix(SVG) for each in root.iter()} == {"svg", "title", "g", "rect", "text"}
    assert len(ET.tostring(root)) < 5000
    assert lines[0] == "flowchart TD"
    assert len(lines) == 4
    assert lines[1].count('"') == 2
    assert not {"<script", "\u202e", "\x00"} & set(lines[1])
    assert "<s" not in lines[1]


@pytest.mark.parametrize("count", [1, 5, 40, 150])
def test_boxes_do_not_overlap_and_lie_below_those_they_depend_on(count):
    drawn = random_graph(count, count)

    layout = layout_of(drawn)

    assert len(layout.boxes) == count
    assert len(layout.lines) == len(drawn.edges)
    for (x, y), (other_x, other_y) in combinations(layout.boxes.values(), 2):
        assert abs(x - other_x) >= WIDTH or abs(y - other_y) >= HEIGHT
    for edge in drawn.edges:
        assert layout.boxes[edge.source][1] + HEIGHT < layout.boxes[edge.target][1]
    assert all(0 <= x <= layout.width - WIDTH and 0 <= y <= layout.height - HEIGHT for x, y in layout.boxes.values())


def test_a_long_edge_passes_between_boxes_and_not_behind_them():
    drawn = graph([("a", "b"), ("b", "c"), ("c", "d"), ("a", "d")])

    layout = layout_of(drawn)

    (line,) = [points for number, points in layout.lines if drawn.edges[number] == Edge(source="a", target="d")]
    for x, y in line[1:-1]:
        assert not any(left < x < left + WIDTH and top <= y <= top + HEIGHT for left, top in layout.boxes.values())


def test_a_circle_is_drawn_without_the_edge_that_closes_it():
    drawn = graph([("a", "b"), ("b", "c"), ("c", "a"), ("c", "c"), ("c", "d")])

    layout = layout_of(drawn)

    assert set(layout.boxes) == set("abcd")
    assert len(layout.lines) == 3
    assert mermaid(drawn).count("-->") == 3


def test_an_edge_that_names_no_node_is_left_out():
    drawn = Graph(
        name="w", nodes=(Node(key="a", name="a"),), edges=(Edge(source="x", target="a"), Edge(source="a", target="y"))
    )

    assert layout_of(drawn).lines == ()
    assert "-->" not in mermaid(drawn)


def test_a_layer_is_one_below_the_lowest_that_it_depends_on():
    assert layers_of(graph([("a", "b"), ("b", "c"), ("a", "c"), ("x", "c")])) == {"a": 0, "b": 1, "c": 2, "x": 0}


def test_many_alike_steps_become_one_with_their_number_and_total_and_the_failed_ones_stay_apart():
    parts = [
        Node(key=f"m{at}", name="embed", seconds=1.0, size=10, state="failed" if at == 3 else "succeeded")
        for at in range(500)
    ]
    fan = [("split", part.key) for part in parts] + [(part.key, "merge") for part in parts]

    folded = graph(fan, **{part.key: part for part in parts}).folded()

    assert [(node.name, node.count, node.seconds, node.state) for node in folded.nodes] == [
        ("split", 1, None, "succeeded"),
        ("embed", 499, 499.0, "succeeded"),
        ("embed", 1, 1.0, "failed"),
        ("merge", 1, None, "succeeded"),
    ]
    assert len(folded.edges) == 4
    assert "embed \u00d7 499" in texts(svg(folded))
    assert "embed \u00d7 499" in mermaid(folded)


def test_a_long_chain_of_one_function_becomes_one():
    chain = [Node(key=f"c{at}", name="train", seconds=1.0) for at in range(50)]
    edges = [(f"c{at}", f"c{at + 1}") for at in range(49)] + [("load", "c0"), ("c49", "score")]

    folded = graph(edges, **{node.key: node for node in chain}).folded()

    assert {(node.name, node.count) for node in folded.nodes} == {("load", 1), ("train", 50), ("score", 1)}
    assert {(edge.source, edge.target) for edge in folded.edges} == {("load", "c0"), ("c0", "score")}


def test_few_steps_are_not_folded():
    drawn = graph([("a", f"b{at}") for at in range(5)], **{f"b{at}": Node(key=f"b{at}", name="b") for at in range(5)})

    assert {node.count for node in drawn.folded().nodes} == {1}


def test_of_very_many_nodes_the_first_are_drawn_and_the_others_counted():
    nodes = tuple(Node(key=str(at), name=f"n{at}") for at in range(NODES_MAX + 7))

    root = ET.fromstring(svg(Graph(name="w", nodes=nodes, edges=())))

    assert len(list(root.iter(f"{SVG}rect"))) == NODES_MAX
    assert root.attrib["aria-label"].endswith(", 7 not drawn")


def test_a_box_with_an_address_is_a_link_that_is_named_as_the_box_is_told():
    drawn = graph([("load", "clean")])

    root = ET.fromstring(svg(drawn, links={"load": 'x?a=1&b="2"'}))

    (link,) = root.iter(f"{SVG}a")
    assert link.attrib == {"href": 'x?a=1&b="2"', "aria-label": "load"}
    assert root.attrib["role"] == "group"


def test_the_bytes_of_an_edge_stand_beside_it_unless_there_are_too_many_to_be_read():
    def labelled(count):
        nodes = tuple(Node(key=f"n{at}", name="n") for at in range(count + 1))
        edges = tuple(Edge(source=f"n{at}", target=f"n{at + 1}", size=3 << 20) for at in range(count))
        drawing = svg(Graph(name="w", nodes=nodes, edges=edges))
        return texts(drawing).count("3 MiB"), drawing.count("<title>3 MiB</title>")

    assert labelled(5) == (5, 5)
    assert labelled(300) == (0, 300)


def test_a_box_tells_by_how_much_it_took_longer_than_before():
    def told(seconds, before):
        node = Node(key="k", name="train", seconds=seconds, before=before)
        return texts(svg(Graph(name="w", nodes=(node,), edges=())))[-1]

    assert told(2.0, 1.5) == "2.00 s (+0.50 s)"
    assert told(1.5, 2.0) == "1.50 s (\u22120.50 s)"
    assert told(1.0, 1.001) == told(1.0, None) == "1.00 s"


def test_the_states_of_a_drawing_are_in_the_words_of_the_reader():
    node = Node(key="k", name="train", state="failed")
    words = {"failed": "失败", "succeeded": "", "reused": "", "running": "", "lost": "", "steps": "个步骤"}

    root = ET.fromstring(svg(Graph(name="w", nodes=(node,), edges=()), words=words))

    assert root.attrib["aria-label"] == "w, 1 个步骤 (1 失败)"
