"""One page for each question that benchmarks answer, and what fills its numbers in from benchmarks/results.

    python -m benchmarks.pages             # fills every page, the README's table and docs/decide.md anew
    python -m benchmarks.pages --check     # names what differs from its results; exits with 1
    python -m benchmarks.pages --plots     # draws the pictures anew, too

On a page `<!--=promise.views-->376,896<!--/-->` holds the value `views` that the function `promise` makes (see
`values.MADE`). Sentences are written by people, numbers are not.
"""
