"""Evidence is kept only if it is whole, and is fixed by a hash that hides it."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent import evidence
from consent.evidence import IN_WORDS, PROOFS, EvidenceMissing
from consent.models import Method

WHOLE = {
    "ip_address": "203.0.113.7",
    "user_agent": "Browser/1",
    "reply": "JOIN",
    "scan": "a1b2",
}
DEMANDS = [(method, fact) for method, proof in PROOFS.items() for fact in proof.demands]


def test_every_way_of_opting_in_says_what_it_demands_and_shows() -> None:
    assert set(PROOFS) == set(Method.values)
    assert all(proof.demands and proof.shows for proof in PROOFS.values())
    assert {fact for _method, fact in DEMANDS} <= set(IN_WORDS)


@pytest.mark.parametrize("method", PROOFS)
def test_what_a_method_demands_is_enough(method: str) -> None:
    demanded = {fact: WHOLE[fact] for fact in PROOFS[method].demands}
    told = json.loads(evidence.written(method, demanded))
    assert len(bytes.fromhex(told.pop("salt"))) == 16
    assert told == demanded


@pytest.mark.parametrize("nothing", [None, ""])
@pytest.mark.parametrize(("method", "fact"), DEMANDS)
def test_evidence_without_what_its_method_demands_is_refused_by_name(
    method: str, fact: str, nothing: str | None
) -> None:
    told = {name: text for name, text in WHOLE.items() if name != fact}
    if nothing is not None:
        told[fact] = nothing
    with pytest.raises(EvidenceMissing) as refusal:
        evidence.written(method, told)
    assert refusal.value.missing == (fact,)
    assert str(refusal.value) == f"This way of opting in needs {IN_WORDS[fact]}."


def test_all_that_is_missing_is_named() -> None:
    with pytest.raises(EvidenceMissing) as refusal:
        evidence.written("web_form", {"reply": "yes"})
    assert refusal.value.missing == ("ip_address", "user_agent")
    assert "the network address it came from and the browser it came from" in str(refusal.value)


def test_facts_beyond_what_is_demanded_are_kept_and_empty_ones_are_not() -> None:
    told = json.loads(evidence.written("keyword", {"reply": "JOIN", "source": "till", "scan": ""}))
    assert set(told) == {"reply", "source", "salt"}


def test_an_endless_fact_is_cut() -> None:
    told = json.loads(evidence.written("keyword", {"reply": "x" * 9_999}))
    assert len(told["reply"]) == evidence.LONGEST


def test_a_list_may_tell_less_than_a_form() -> None:
    told = json.loads(evidence.told_by_a_list({"ip_address": "203.0.113.7", "user_agent": ""}))
    assert set(told) == {"ip_address", "salt"}


@pytest.mark.parametrize("facts", [{}, {"ip_address": "", "user_agent": ""}])
def test_a_list_that_tells_nothing_leaves_no_salt_behind(facts: dict[str, str]) -> None:
    assert evidence.told_by_a_list(facts) == ""


def test_a_commitment_is_the_hash_of_what_is_kept() -> None:
    kept = evidence.written("keyword", {"reply": "JOIN"})
    assert evidence.commitment(kept) == hashlib.sha256(kept.encode()).hexdigest()
    assert evidence.commitment("") == ""


def test_the_same_facts_twice_have_commitments_that_cannot_be_compared() -> None:
    kept = {evidence.written("keyword", {"reply": "JOIN"}) for _time in range(9)}
    assert len({evidence.commitment(one) for one in kept}) == 9


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=evidence.LONGEST)


@given(st.dictionaries(st.text(min_size=1).filter(lambda name: name != "salt"), TEXTS))
def test_any_facts_are_read_back_as_they_were_told(facts: dict[str, str]) -> None:
    told = json.loads(evidence.written("keyword", {**facts, "reply": "JOIN"}))
    assert told.pop("salt")
    assert told == {**facts, "reply": "JOIN"}
