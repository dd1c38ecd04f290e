"""``make bench``: what is shipped, timed under Lambda's own runtime client beside other ways to write it.

``contestants`` lays out what is timed, ``sandbox`` starts it as Lambda does and hands it events, ``dynamodb`` answers
it, ``probe`` looks from the inside, ``measurements`` takes turns, ``parts`` and ``report`` show what was found.
"""
