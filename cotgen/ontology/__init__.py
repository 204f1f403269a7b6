"""Terms and knowledge: the words that facts, questions and chains share."""

from cotgen.ontology.terms import Term, alias, ontology_sha256, term, terms_of, vocabulary

__all__ = ["Term", "alias", "ontology_sha256", "term", "terms_of", "vocabulary"]
