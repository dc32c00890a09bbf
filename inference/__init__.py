"""From a run's folder to a model that can be used."""
