"""The statistics of a report, in words: what to know before the first number."""

GUIDE = (
    "Every value is over all test images of its table, with a 95 % interval. Of one training it is "
    "Wilson's interval of a share, the bootstrap over images of a mean over a curve, or what the "
    "suite names. Of several trainings of a model the value is their mean, and the interval comes "
    "from a two-level bootstrap that draws seeds and images anew, with Student's t for the few "
    "seeds. The intervals of a single training say nothing about what another seed would have "
    "given.",
    "In each row the best model is tested against every other: by McNemar's exact test between two "
    "single trainings, else by the paired two-level bootstrap; all tests of a suite are corrected "
    "together by Holm's method. A winner is marked only if all its tests are significant at 5 % "
    "and each model of the row was trained more than once: a test against a single training speaks "
    "of that training, not of the model. A tie means that the models marked with it do not "
    "differ significantly with so many images and seeds, not that they are equal; with three seeds "
    "only large differences are significant. Numbers that are not means over images, and metrics "
    "of which neither more nor less is better, have no winner.",
    "A condition at several strengths is summarised by the mean over all of them but the one that "
    "changes nothing, or at the strength that its row names. What only one model has, such as "
    "a layer of its own, is in the sections of the suites. Compare models within one table only: "
    "models at the end of training and at matched clean accuracy are in separate ones.",
)
"""Paragraphs of plain text."""
