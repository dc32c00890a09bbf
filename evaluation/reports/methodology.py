"""The statistics of a report, in words: what to know before the first number."""

GUIDE = (
    "Every value is over all test images of its table, with a 95 % interval. Of one training it is "
    "Wilson's interval of a share, the bootstrap over images of a mean over a curve, or what the "
    "suite names. Of several trainings of a model the value is their mean, and the interval comes "
    "from a two-level bootstrap that draws seeds and images anew, with Student's t for the few "
    "seeds. The intervals of a single training say nothing about what another seed would have "
    "given.",
    "Models are compared by stated contrasts alone, each a model against its control. Trainings "
    "are the unit: shares are compared by their log odds, counts and errors by their logarithms, "
    "with the variance between the trainings of each (Welch's test) and that of the images added "
    "to it. A verdict is better or worse (p < .05, by Holm's method over all stated "
    "comparisons), equivalent (by two one-sided tests, likewise corrected, of the odds or the "
    "counts differing by less than a quarter, or by what the study states), or undecided, which "
    "says that there were too few trainings or images to tell. A model that was trained once has "
    "no verdict.",
    "In figures of verdicts right is better: where lower values are, ratios are inverted and "
    "differences change their sign. Differences below a curve are first minus second, with "
    "intervals that are not corrected for the number of strengths.",
    "A training has failed if its clean accuracy is below half the way from chance to its model's "
    "best training. Such trainings are named and left out of all other numbers.",
    "A condition at several strengths is summarised by the mean over all of them but the one that "
    "changes nothing, or at the strength that its row names. What only one model has, such as "
    "a layer of its own, is in the sections of the suites. Compare models within one table only: "
    "models at the end of training and at matched clean accuracy are in separate ones.",
)
"""Paragraphs of plain text."""
