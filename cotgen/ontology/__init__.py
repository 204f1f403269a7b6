"""Terms and knowledge: the words that facts, questions and chains share."""

from cotgen.ontology.terms import WORDS_OF, Term, alias, ontology_sha256, term, terms_of, vocabulary

__all__ = ["WORDS_OF", "Term", "alias", "ontology_sha256", "term", "terms_of", "vocabulary"]
