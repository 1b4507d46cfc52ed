"""The one base class of errors that speak to a person.

Belongs here: the class that the command line prints without a traceback. Does not: errors of one room (they subclass
this in their own module), and the table that decides what is retried.
"""


class ExplainedError(Exception):
    """An error whose text says what was wrong, in which thing, and what to do next.

    The command line prints the text alone and ends with exit code 1. If it lost this base, people would read a
    traceback where one sentence is enough.
    """
