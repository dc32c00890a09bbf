"""Public names of the types of configurations, and what older versions called them.

Types move between modules; their names, and the runs that were stored with them, stay.
"""

import dataclasses
import importlib
import re
from collections.abc import Mapping
from typing import Any

TAG = "type"
# Public names, and the modules that hold them today.
MODULES = {
    "capsnet.AttentionCapsNetConfig": "capsnet.networks.attention",
    "capsnet.AverageHead": "capsnet.networks.heads",
    "capsnet.CapsNetConfig": "capsnet.networks.sabour",
    "capsnet.CapsuleHead": "capsnet.networks.heads",
    "capsnet.DenseHead": "capsnet.networks.heads",
    "capsnet.DynamicRouting": "capsnet.routing.dynamic",
    "capsnet.EfficientCapsNetConfig": "capsnet.networks.efficient",
    "capsnet.ExpectationMaximisationRouting": "capsnet.routing.expectation_maximisation",
    "capsnet.InvertedAttentionRouting": "capsnet.routing.inverted_attention",
    "capsnet.MatrixCapsNetConfig": "capsnet.networks.matrix",
    "capsnet.NormalisedTrunk": "capsnet.networks.trunks",
    "capsnet.SabourTrunk": "capsnet.networks.trunks",
    "capsnet.SelfAttentionRouting": "capsnet.routing.self_attention",
    "capsnet.SelfRouting": "capsnet.routing.self_routing",
    "capsnet.SelfRoutingCapsNetConfig": "capsnet.networks.self_routing",
    "capsnet.TrunkAndHeadConfig": "capsnet.networks.trunk_and_head",
    "capsnet.UniformRouting": "capsnet.routing.uniform",
    "capsnet.VariationalBayesRouting": "capsnet.routing.variational_bayes",
    "capsnet.VariationalCapsNetConfig": "capsnet.networks.variational",
    "capsnet.VectorHead": "capsnet.networks.heads",
    "cnn.BagOfPartsConfig": "cnn.networks.bag_of_parts",
    "cnn.CompactTransformerConfig": "cnn.networks.compact_transformer",
    "cnn.ConvolutionalNetworkConfig": "cnn.networks.plain",
    "cnn.DeconvolutionDecoder": "cnn.decoder",
    "cnn.DenseDecoder": "cnn.decoder",
    "cnn.MultiLabelNetworkConfig": "cnn.networks.multi_label",
    "cnn.OrientedGradientsConfig": "cnn.networks.oriented_gradients",
    "cnn.PoolingNetworkConfig": "cnn.networks.pooling",
    "cnn.ReconstructingNetworkConfig": "cnn.networks.reconstructing",
    "cnn.ResidualNetworkConfig": "cnn.networks.residual",
    "data.AdditionConfig": "data.tasks.addition",
    "data.AffineDistortion": "data.distortions",
    "data.CoLocalisationConfig": "data.tasks.colocalisation",
    "data.DatasetConfig": "data.sources.load",
    "data.DistortedConfig": "data.tasks.distorted",
    "data.ElasticDistortion": "data.distortions",
    "data.ExtrudedConfig": "data.tasks.extruded",
    "data.FacesConfig": "data.faces.tasks",
    "data.FixedDistortedConfig": "data.tasks.fixed",
    "data.MultiMNISTConfig": "data.tasks.multimnist",
    "data.PhotographedFacesConfig": "data.faces.photographed",
    "data.Placement": "data.distortions",
    "data.ProjectiveDistortion": "data.distortions",
    "data.ViewpointsConfig": "data.tasks.viewpoints",
    "equivariant.CanonicalisedConfig": "equivariant.networks.canonicalised",
    "equivariant.ConsistencyPenalty": "equivariant.penalties",
    "equivariant.DifferencePenalty": "equivariant.penalties",
    "equivariant.GroupNetworkConfig": "equivariant.networks.cohen_welling",
    "equivariant.LearntOrientation": "equivariant.learnt_canonicaliser",
    "equivariant.Moves": "equivariant.penalties",
    "equivariant.PenalisedConfig": "equivariant.networks.penalised",
    "equivariant.PolarNetworkConfig": "equivariant.networks.polar",
    "equivariant.PrincipalAxis": "equivariant.canonicaliser",
    "equivariant.TangentPenalty": "equivariant.penalties",
    "stn.CoLocaliserConfig": "stn.networks.colocalisation",
    "stn.HouseNumberConfig": "stn.networks.house_numbers",
    "stn.PartsConfig": "stn.networks.birds",
    "stn.TransformerNetworkConfig": "stn.networks.mnist",
    "stn.VolumeNetworkConfig": "stn.networks.volumes",
    "training.AdamConfig": "training.optimizers",
    "training.ConstantSchedule": "training.optimizers",
    "training.CosineSchedule": "training.optimizers",
    "training.Experiment": "training.experiment",
    "training.ExponentialSchedule": "training.optimizers",
    "training.MomentumConfig": "training.optimizers",
    "training.StepSchedule": "training.optimizers",
}
_PUBLIC = {f"{module}.{name.partition('.')[2]}": name for name, module in MODULES.items()}
# Names under which older runs and records have them; these never change.
OLD_NAMES = {
    "capsnet.model.CapsNetConfig": "capsnet.CapsNetConfig",
    "cnn.bag_of_parts.BagOfPartsConfig": "cnn.BagOfPartsConfig",
    "cnn.network.ConvolutionalNetworkConfig": "cnn.ConvolutionalNetworkConfig",
    "cnn.pooling_network.PoolingNetworkConfig": "cnn.PoolingNetworkConfig",
    "cnn.reconstructing_network.ReconstructingNetworkConfig": "cnn.ReconstructingNetworkConfig",
    "data.colocalisation.CoLocalisationConfig": "data.CoLocalisationConfig",
    "data.distortions.AffineDistortion": "data.AffineDistortion",
    "data.distortions.ElasticDistortion": "data.ElasticDistortion",
    "data.distortions.Placement": "data.Placement",
    "data.distortions.ProjectiveDistortion": "data.ProjectiveDistortion",
    "data.extruded.ExtrudedConfig": "data.ExtrudedConfig",
    "data.faces.FacesConfig": "data.FacesConfig",
    "data.generated.AdditionConfig": "data.AdditionConfig",
    "data.generated.DistortedConfig": "data.DistortedConfig",
    "data.photographed_faces.PhotographedFacesConfig": "data.PhotographedFacesConfig",
    "data.sources.DatasetConfig": "data.DatasetConfig",
    "stn.colocalisation.CoLocaliserConfig": "stn.CoLocaliserConfig",
    "stn.cub.PartsConfig": "stn.PartsConfig",
    "stn.networks.TransformerNetworkConfig": "stn.TransformerNetworkConfig",
    "stn.svhn.HouseNumberConfig": "stn.HouseNumberConfig",
    "stn.volumes.VolumeNetworkConfig": "stn.VolumeNetworkConfig",
    "training.experiment.Experiment": "training.Experiment",
    "training.optimizers.AdamConfig": "training.AdamConfig",
    "training.optimizers.ConstantSchedule": "training.ConstantSchedule",
    "training.optimizers.CosineSchedule": "training.CosineSchedule",
    "training.optimizers.ExponentialSchedule": "training.ExponentialSchedule",
    "training.optimizers.MomentumConfig": "training.MomentumConfig",
    "training.optimizers.StepSchedule": "training.StepSchedule",
}
_WIDTHS = {"decoder_widths": ("decoder", "cnn.DenseDecoder", "widths")}
# Fields of older versions that have become those of a part: the part's field and type, and the name
# there.
_MOVED_FIELDS: Mapping[str, Mapping[str, tuple[str, str, str]]] = {
    "capsnet.CapsNetConfig": _WIDTHS
    | {
        field: ("routing", "capsnet.DynamicRouting", field)
        for field in ("iterations", "leaky", "stop_gradient")
    },
    "capsnet.EfficientCapsNetConfig": _WIDTHS,
    "capsnet.TrunkAndHeadConfig": _WIDTHS,
    "cnn.ReconstructingNetworkConfig": _WIDTHS,
}


def name_of(kind: type) -> str:
    """The public name of a configuration's type; module and name of one that is not in the table.

    Args:
        kind: A dataclass.
    """
    full = f"{kind.__module__}.{kind.__qualname__}"
    return _PUBLIC.get(full, full)


def imported(public: str) -> type:
    """The type of a public name."""
    return getattr(importlib.import_module(MODULES[public]), public.rpartition(".")[2])


def as_today(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """The fields of a stored configuration, with those of an older version where they are now."""
    found = {}
    for field, value in given.items():
        part, kind, today = _MOVED_FIELDS.get(name, {}).get(field, (None, None, field))
        if part is None or part in given:
            found[field] = value
        else:
            found.setdefault(part, {TAG: kind})[today] = value
    return found


def choices(base: Any) -> dict[str, type]:
    """The types of the table that derive from a type, by their names as a command line has them.

    Args:
        base: Declared type of a field.

    Returns:
        Types by names such as "dynamic_routing"; none if the base is no class that others derive
        from.
    """
    if not _is_config_type(base):
        return {}
    room = base.__module__.partition(".")[0]
    names = [name for name in MODULES if name.startswith(f"{room}.")]
    kinds = [kind for name in names if issubclass(kind := imported(name), base)]
    return {_snake_case(kind.__name__): kind for kind in kinds} if kinds != [base] else {}


def _snake_case(name: str) -> str:
    return re.sub("(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _is_config_type(kind: Any) -> bool:
    return isinstance(kind, type) and dataclasses.is_dataclass(kind)
