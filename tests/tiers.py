"""Which tests stand for others where every minute counts.

Many tests try a property on every network, transform, lowering or configuration. All of that takes
longer than one waits for a change to be tested, so a run without `-m exhaustive` tries those that
differ most: of each test below, the cases that are named here, and of a test without any, none.
"""

# By the test's name without its cases, from tests/ on; cases as pytest names them.
REPRESENTATIVES = {
    "benchmarks/test_accelerator.py::test_it_runs_at_small_sizes": (),
    "benchmarks/test_benchmarks.py::test_scaling": (),
    "benchmarks/test_benchmarks.py::test_the_plain_routing_is_the_same_function": (
        *("dynamic", "expectation_maximisation"),
    ),
    "benchmarks/test_networks.py::test_it_prints_a_table_and_writes_the_figures": (),
    "benchmarks/test_transformers.py::test_budgets_are_equal_in_time_or_in_images": (),
    "benchmarks/test_transformers.py::test_every_run_leaves_a_record": (),
    "capsnet/test_model.py::test_any_image_and_any_number_of_classes": ("image_shape1-7",),
    "capsnet/test_views.py::test_every_layer_has_all_of_the_winner": ("matrix",),
    "configs/test_claims.py::test_networks_of_400000_parameters": (),
    "configs/test_configs.py::test_every_kind_of_config_takes_a_step": (
        *("affine_capsnet", "efficient_capsnet_mnist", "matrix_capsnet", "multimnist", "faces"),
        "viewpoints",
    ),
    "configs/test_configs.py::test_every_other_config_could_take_a_step": (
        *("affnist", "augmentation", "capsnet_mnist_paper", "stn_mnist_tc"),
    ),
    "configs/test_fuzzing.py::test_nonsense_is_one_line_or_a_step": (
        *("capsnet_mnist_paper", "stn_mnist", "faces:bag_of_parts", "viewpoints"),
    ),
    "configs/test_transformer_configs.py::test_every_network_has_its_parameters": (
        *("st_cnn_affine", "st_fcn_tps", "st_cnn_iterated"),
    ),
    "data/test_colocalisation.py::test_another_seed_renders_other_images": (),
    "data/test_extruded.py::test_the_fixed_volumes_are_the_same_in_every_run": (),
    "data/test_faces.py::test_low_level_cues_tell_nothing": (
        *("A-relation-0", "B-configuration-0", "C-relation-3"),
    ),
    "data/test_faces.py::test_no_weighing_of_pixels_tells_a_scramble": (
        *("A-relation-0", "B-configuration-0", "C-relation-3"),
    ),
    "data/test_faces.py::test_seams_tell_nothing": ("A-relation", "B-configuration"),
    "data/test_generated.py::test_tasks_have_the_papers_sizes": ("tc", "addition"),
    "data/test_photographed_faces.py::"
    "test_a_sham_is_close_to_the_photograph_and_a_scramble_is_not": (),
    "data/test_photographed_faces.py::test_low_level_cues_tell_little": ("A",),
    "data/test_photographed_faces.py::test_the_suite_measures_photographs_too": (),
    "data/test_photographed_faces.py::test_training_pastes_every_photograph_anew": (),
    "data/test_photographed_faces.py::test_wide_poses_and_moves_keep_what_is_pasted": (),
    "equivariant/test_penalties.py::test_a_weight_makes_predictions_change_less": (),
    "evaluation/suites/test_adversarial.py::"
    "test_an_undefended_cnn_falls_where_clean_images_do_not": (),
    "evaluation/suites/test_distortions.py::test_a_larger_frame_gets_a_larger_range": (
        *("28-8", "16-None"),
    ),
    "evaluation/suites/test_distortions.py::test_smaller_digits_stay_in_the_frame": (),
    "evaluation/suites/test_distortions.py::"
    "test_the_ink_that_stays_is_that_of_the_shifted_images": (),
    "evaluation/suites/test_patch.py::test_the_trained_patch_beside_its_controls": (),
    "evaluation/suites/test_rotation.py::test_accuracy_is_that_on_digits_turned_by_scipy": (),
    "evaluation/suites/test_spatial_adversary.py::test_the_worst_of_more_tries_is_never_better": (),
    "evaluation/test_apgd.py::test_steps_are_those_of_the_algorithm": ("inf-0.04",),
    "evaluation/test_curves.py::test_examples_are_images_in_range_and_blank_ones_give_no_nan": (
        *("rotation", "corruptions"),
    ),
    "evaluation/test_curves.py::test_results_define_their_measurement": ("rotation", "translation"),
    "evaluation/test_curves.py::"
    "test_the_identity_is_a_point_of_every_curve_and_equals_clean_exactly": ("rotation",),
    "evaluation/test_faces.py::test_an_untrained_network_is_at_chance": (),
    "evaluation/test_history.py::test_stored_results_are_defined_as_they_are_measured": (
        *("rotation", "spatial_adversary"),
    ),
    "evaluation/test_pack.py::test_the_page_of_a_study_is_derived_from_its_records": (
        *("clean", "adversarial", "small_shifts", "single_runs"),
    ),
    "evaluation/test_pose.py::test_a_transformer_that_undoes_every_pose_has_no_error": (),
    "evaluation/test_simulation.py::test_equal_arms_are_found_to_differ_as_often_as_stated": (),
    "evaluation/test_suites.py::test_every_suite_can_be_loaded_and_evaluates": (),
    "evaluation/test_suites.py::test_few_images_and_missing_classes_give_results_or_none": (
        "labels1",
    ),
    "inference/test_export.py::test_a_program_computes_elsewhere_what_the_network_does_here": (
        *("capsnet", "matrix capsules", "st_fcn, tps"),
    ),
    "inference/test_onnx.py::test_onnx_runtime_computes_what_networks_of_many_primitives_do": (
        "matrix capsules",
    ),
    "inference/test_studies.py::test_a_training_that_diverges_is_kept_as_such": (),
    "inference/test_studies.py::test_kills_in_the_middle_lose_nothing": (),
    "stn/test_antialiasing.py::test_constant_images_stay_constant_inside": (
        *("(64, 64)-False-supersampled", "(61, 50)-True-mipmapped"),
    ),
    "stn/test_antialiasing.py::test_fine_patterns_turn_grey_and_alias_without": (
        *("stripes-False-supersampled", "checkerboard-True-mipmapped"),
    ),
    "stn/test_antialiasing.py::test_gradients_at_the_identity_are_finite_and_not_zero": (
        *("Affine(dims=2)-False-supersampled", "ThinPlateSpline(points_per_side=4)-True-mipmapped"),
    ),
    "stn/test_antialiasing.py::test_ramps_are_reproduced_and_so_nothing_is_shifted": (
        *("(64, 64)-4.0-True-supersampled", "(63, 65)-2.7-False-mipmapped"),
    ),
    "stn/test_antialiasing.py::test_the_centre_of_mass_stays_where_it_is": (
        *("False-mipmapped", "True-supersampled"),
    ),
    "stn/test_antialiasing.py::test_without_averaging_it_is_the_sampler": (
        *("False-border", "True-zeros"),
    ),
    "stn/test_cub.py::test_four_windows_start_as_the_four_quarters": (),
    "stn/test_cub.py::test_training_updates_the_running_averages_and_evaluation_uses_them": (),
    "stn/test_networks.py::test_a_network_starts_as_its_classifier_on_the_image": (
        *("1-cnn", "2-fcn"),
    ),
    "stn/test_networks.py::test_every_network_of_the_paper_has_its_number_of_parameters": (
        *("cnn-r-affine", "fcn-rts-affine", "cnn-addition-tps", "fcn-r-projective", "cnn-rts-None"),
    ),
    "stn/test_networks.py::test_the_regression_learns_from_the_first_step_on": (
        *("config0-affine", "config2-tps", "config6-exponential"),
    ),
    "stn/test_penalties.py::test_the_identity_of_every_transform_is_free": (
        *("Affine(dims=2)", "ThinPlateSpline(points_per_side=3)"),
    ),
    "stn/test_sampling.py::test_every_lowering_has_the_same_derivatives_of_every_order": (
        "(5, 7)",
    ),
    "stn/test_sampling.py::test_gradients_match_finite_differences": (
        *("bicubic-zeros-gather-2-1", "bilinear-zeros-packed-2-1"),
        "bilinear-reflection-matmul-2-1",
    ),
    "stn/test_sampling.py::test_no_coordinate_reads_outside_of_memory": (
        *("nearest-zeros-False", "bilinear-zeros-False", "bilinear-reflection-True"),
        *("bicubic-border-False", "bicubic-reflection-False"),
    ),
    "stn/test_sampling.py::test_the_identity_returns_the_image": (
        *("nearest-border-False", "bilinear-zeros-True", "bicubic-reflection-False"),
    ),
    "stn/test_sampling.py::test_vmap_equals_loop_and_jit_equals_eager": ("auto", "gather"),
    "stn/test_svhn.py::test_every_transformer_learns": (),
    "stn/test_volumes.py::test_the_output_may_be_smaller_than_the_volume": (),
    "test_backends.py::test_a_program_for_several_platforms_runs_on_this_one": ("capsnet",),
    "test_backends.py::test_programs_for_accelerators_convolve": (
        *("cuda-capsnet_mnist", "tpu-capsnet_mnist"),
    ),
    "test_model_configs.py::test_the_smallest_images_are_named": (
        *("CapsNetConfig", "EfficientCapsNetConfig", "MatrixCapsNetConfig", "GroupNetworkConfig"),
        *("ConvolutionalNetworkConfig", "PoolingNetworkConfig", "TransformerNetworkConfig"),
        *("VolumeNetworkConfig", "ReconstructingNetworkConfig", "SelfRoutingCapsNetConfig"),
    ),
    "test_modes.py::test_one_program_serves_every_batch": (
        *("capsnet", "self-routing", "bag of parts", "cnn", "residual", "st_cnn", "st_fcn, tps"),
    ),
    "test_modes.py::test_sampling_mixes_types": (
        *("float32-float64-strict", "float64-float32-strict", "bfloat16-float32-strict"),
        "int32-bfloat16-standard",
    ),
    "test_modes.py::test_strict_type_promotion": (
        *("capsnet-True", "capsnet-False", "efficient capsnet-True", "matrix capsules-True"),
        *("trunk and head-True", "cnn-True", "cnn-False", "reconstructing-True", "aps, dense-True"),
        "st_fcn, tps-True",
    ),
    "test_own_images.py::test_names_of_classes_stay_where_images_are_rendered_as_they_are": (),
    "test_own_images.py::test_other_networks_take_its_sizes_channels_and_classes": (
        "capsnet_mnist_tiny",
    ),
    "test_zoo.py::test_a_model_does_what_its_record_says": ("capsnet_slim", "cnn_max_blur3"),
    "training/test_checkpoints.py::"
    "test_whatever_is_wrong_with_a_checkpoint_the_one_before_is_used": (
        *("no state", "facts that are a list", "an accuracy of NaN", "garbage in every file"),
        *("deep facts", "of another step"),
    ),
    "training/test_continuing.py::"
    "test_without_a_schedule_that_depends_on_them_more_steps_are_the_longer_run": (),
    "training/test_cost.py::test_the_cost_of_a_known_network": (),
    "training/test_devices.py::test_losses_do_not_depend_on_the_number_of_devices": ("cnn_mnist",),
    "training/test_features.py::test_logits_are_a_linear_map_of_features": (
        *("cnn", "behind a transformer"),
    ),
    "training/test_loop.py::test_a_clock_that_does_not_run_forward_changes_no_result": ("-1.0",),
    "training/test_loop.py::test_a_spatial_transformer_shows_what_it_does": (),
    "training/test_loop.py::test_a_stopped_and_resumed_run_ends_bit_identical": ("15-2",),
    "training/test_loop.py::test_windows_that_stops_cut_in_two_are_reported_as_if_whole": (),
    "training/test_loop.py::test_without_jit_it_trains_all_the_same": (),
    "training/test_several_labels.py::test_the_validation_accuracy_of_a_cnn_is_its_exact_match": (),
}


def is_left_to_exhaustive(name: str) -> bool:
    """True for a test that others stand for, by its name, as in `test_zoo.py::test_a[case]`."""
    test, _, case = name.partition("[")
    return test in REPRESENTATIVES and case.removesuffix("]") not in REPRESENTATIVES[test]
