"""The books keep what was posted, and show every later change."""

import json
import shutil
from datetime import date
from pathlib import Path

import pytest

from pipelines import books
from pipelines.books import DamagedBooks, read_books, verify_books
from pipelines.drafts import write_drafts
from pipelines.paths import DataRoot
from pipelines.posting import post
from tests.pipelines import samples

JUNE = date(2026, 6, 1)


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    return DataRoot(tmp_path)


@pytest.fixture
def posted(root: DataRoot) -> DataRoot:
    """Books of three postings, two invoices each."""
    for day, names in ((1, "ab"), (2, "cd"), (3, "ef")):
        invoices = [samples.recurring(name) for name in names]
        samples.draft_and_post(root, invoices, issued_on=JUNE.replace(day=day))
    return root


def test_no_books_are_empty_books(root: DataRoot) -> None:
    assert read_books(root) == books.Books((), (), (), {})


def test_posted_invoices_come_back_the_same(posted: DataRoot) -> None:
    read = read_books(posted)
    assert [it.invoice for it in read.invoices] == [samples.recurring(name) for name in "abcdef"]
    assert [it.number for it in read.invoices] == [f"INV-2026-00000{n}" for n in range(1, 7)]
    assert [it.posting for it in read.invoices] == [1, 1, 2, 2, 3, 3]
    assert [it.issued_on.day for it in read.invoices] == [1, 1, 2, 2, 3, 3]
    assert read.newest_cutoff_on == date(2026, 5, 1)
    assert [it.number for it in read.of_customer("c")] == ["INV-2026-000003"]


def test_a_manifest_says_what_was_posted(posted: DataRoot) -> None:
    first, second, _ = read_books(posted).postings
    assert (second.posting, second.posted_on, second.invoices) == (2, JUNE.replace(day=2), 2)
    assert (second.first_number, second.last_number) == ("INV-2026-000003", "INV-2026-000004")
    assert (first.previous, second.previous) == (None, first.sha256)
    assert {code: str(total) for code, total in second.totals.items()} == {"USD": "287.98"}


def test_states_and_outcomes_are_kept(root: DataRoot) -> None:
    boundary = samples.midnight(samples.MAY.start)
    states = {
        name: books.BookedState(name, boundary, "1", f'{{"of": "{name}"}}') for name in ("a", "b")
    }
    for names in (["a"], ["a", "b"]):
        invoices = [samples.initial("a"), *(samples.recurring(name) for name in names)]
        outcomes = [samples.outcome(name, boundary, f"action_{name}") for name in names]
        late = samples.outcome("a", samples.midnight(JUNE), "action_late")
        summary = write_drafts(root, invoices, through=JUNE, outcomes=[*outcomes, late])
        post(
            root,
            draft_hash=summary.hash,
            issued_on=JUNE,
            numbering=samples.NUMBERING,
            states_of=lambda _drafts, _books, posted: [
                states[name] for name in sorted({it.invoice.customer_id for it in posted})
            ],
        )
    read = read_books(root)
    assert read.states == states
    assert read.outcomes == tuple(
        samples.outcome(name, boundary, f"action_{name}") for name in "ab"
    )


def test_sound_books_have_no_problems(posted: DataRoot) -> None:
    assert verify_books(posted) == []


def test_every_changed_byte_is_named(posted: DataRoot) -> None:
    for path in sorted(posted.books.glob("*/*")):
        content = path.read_bytes()
        for place in range(0, len(content), 97):
            changed = bytearray(content)
            changed[place] ^= 1
            path.write_bytes(changed)
            problems = verify_books(posted)
            file = path.relative_to(posted.root).as_posix()
            assert file in [problem.file for problem in problems], (file, place)
        path.write_bytes(content)
    assert verify_books(posted) == []


def test_a_manifest_written_otherwise_has_changed(posted: DataRoot) -> None:
    path = posted.books / "000003" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8"))), encoding="utf-8")
    (problem,) = verify_books(posted)
    assert (problem.code, problem.file) == ("BOOKS-01", "books/000003/manifest.json")


def test_a_manifest_with_a_new_seal_breaks_the_chain(posted: DataRoot) -> None:
    path = posted.books / "000002" / "manifest.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    del record["seal"]
    record["posted_on"] = "2026-06-01"
    text = books._text({**record, "seal": books._seal(record)})
    path.write_text(text, encoding="utf-8")
    assert [(it.code, it.file) for it in verify_books(posted)] == [
        ("BOOKS-03", "books/000003/manifest.json")
    ]


def test_a_missing_file_is_named(posted: DataRoot) -> None:
    (posted.books / "000002" / "states.parquet").unlink()
    (problem,) = verify_books(posted)
    assert problem.file == "books/000002/states.parquet"
    assert "missing" in problem.what


def test_a_file_too_many_is_named(posted: DataRoot) -> None:
    (posted.books / "000002" / "notes.txt").touch()
    (posted.books / "old").mkdir()
    assert [problem.file for problem in verify_books(posted)] == [
        "books/old",
        "books/000002/notes.txt",
    ]


def test_a_missing_posting_is_named(posted: DataRoot) -> None:
    shutil.rmtree(posted.books / "000002")
    (problem,) = verify_books(posted)
    assert "000002 is missing" in problem.what


def test_two_postings_in_each_others_place_are_named(posted: DataRoot) -> None:
    (posted.books / "000002").rename(posted.books / ".tmp-")
    (posted.books / "000003").rename(posted.books / "000002")
    (posted.books / ".tmp-").rename(posted.books / "000003")
    assert {problem.file for problem in verify_books(posted)} == {
        "books/000002/manifest.json",
        "books/000003/manifest.json",
    }


def test_damaged_books_are_not_read(posted: DataRoot) -> None:
    path = posted.books / "000001" / "invoices.parquet"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(DamagedBooks, match=r"BOOKS-01.*\n.*books/000001/invoices.parquet"):
        read_books(posted)


def test_an_unfinished_posting_is_not_part_of_the_books(posted: DataRoot) -> None:
    shutil.copytree(posted.books / "000003", posted.books / ".tmp-dead")
    assert verify_books(posted) == []
    assert len(read_books(posted).postings) == 3


def test_inputs_name_each_file_that_matters(root: DataRoot) -> None:
    for path in (root.catalog / "2026.yaml", root.register, root.actions_landing / "day=1" / "a"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    before = books.inputs_of(root)
    assert list(before.files) == [
        "catalog/2026.yaml",
        "landing/actions",
        "landing/mappings",
        "landing/register.jsonl",
    ]
    (root.actions_landing / "day=1" / "a").write_text("{}", encoding="utf-8")
    after = books.inputs_of(root)
    changed = [name for name in before.files if before.files[name] != after.files[name]]
    assert changed == ["landing/actions"]
    assert before.sources == after.sources
    assert before.tzdata
