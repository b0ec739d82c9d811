"""Which clips a run learns from, and how examples are drawn from them: `DataConfig`."""

from absl import flags

from taf_keras.config import DATASETS, EVAL_SPLITS, LABELS, ON_BAD_FILE, PARTNERS, DataConfig

from .values import FlagDefiner


def define(flag_values: flags.FlagValues = flags.FLAGS) -> None:
    flag = FlagDefiner(flag_values)
    flag.choice("dataset", DataConfig.dataset, DATASETS, "Data set. Default: ours, generated on first use.")
    flag.text(
        "data_dir",
        DataConfig.data_dir,
        "Folder of the data set; for synthetic the folder in which generated clips are kept.",
        empty="for synthetic the user's cache folder; every other data set needs one",
    )
    flag.number(
        "subset",
        DataConfig.subset,
        "Share of the training clips to keep, in (0, 1]. The paper's CS-0.2 and CS-0.5 are 0.2 and 0.5 "
        "(Section 4.1). Default: all clips, as the paper on CamVid.",
    )
    flag.number(
        "label_fraction",
        DataConfig.label_fraction,
        "Share of the training labels to keep, in (0, 1]; frames without their label stay as partners. "
        "Default: all labels, as the paper.",
    )
    flag.choice(
        "labels",
        DataConfig.labels,
        LABELS,
        "key: the key frame of each clip is labelled; all: every labelled frame counts as a key frame, which "
        "bounds from above what fewer labels can reach. Default: key, as the paper.",
    )
    flag.size(
        "image_size",
        DataConfig.image_size,
        "Size to which frames are resized, in training and evaluation. The paper: 360x480 on CamVid, "
        "1024x2048 on Cityscapes (Table 2). Default: ours.",
        empty="the size of the files",
    )
    flag.size(
        "crop_size",
        DataConfig.crop_size,
        "Size of training crops: at most --image_size, each side at least twice --output_stride. The paper: "
        "360x360 on CamVid, 720x720 on Cityscapes (Table 2). Default: ours.",
        empty="the image size",
    )
    flag.integer(
        "temporal_context",
        DataConfig.temporal_context,
        "n_h: a partner lies at most so many frames of the source video from its key frame, 0 or more "
        "(Section 2.2). With --dataset=synthetic more than 15 makes longer clips, of other scenes. "
        "The paper: 15 (Section 4.3).",
    )
    flag.number(
        "min_scale",
        DataConfig.min_scale,
        "Least factor of the random scale, positive and at most --max_scale. The paper: 0.5 (Section 5.2). "
        "Default: ours.",
    )
    flag.number(
        "max_scale",
        DataConfig.max_scale,
        "Largest factor of the random scale, at least --min_scale. The paper: 2 (Section 5.2). "
        "Default: ours.",
    )
    flag.boolean(
        "flip", DataConfig.flip, "Random horizontal flips of training examples. The paper: yes (Section 5.2)."
    )
    flag.boolean(
        "color_jitter",
        DataConfig.color_jitter,
        "Random brightness, contrast and saturation of training examples, the same for both frames of a "
        "pair. The paper: no.",
    )
    flag.choice(
        "partner",
        DataConfig.partner,
        PARTNERS,
        "Where the partner comes from. neighbour: the frames around the key frame, the method itself. For "
        "checks of a gain, key: the key frame again; other_clip: a frame of another clip. Default: the "
        "paper's method.",
    )
    flag.integer(
        "subset_seed",
        DataConfig.subset_seed,
        "Seed of what --subset and --label_fraction keep, 0 or more; apart from --seed, so that runs with "
        "different seeds see the same data. Default: ours.",
    )
    flag.integer(
        "scene_seed",
        DataConfig.scene_seed,
        "Seed of the scenes of --dataset=synthetic, 0 or more. Default: ours.",
    )
    for split in ("train", "val", "test"):
        flag.integer(
            f"{split}_clips",
            getattr(DataConfig, f"{split}_clips"),
            f"Number of {split} clips of --dataset=synthetic, 1 or more. Default: ours.",
        )
    flag.number(
        "drift",
        DataConfig.drift,
        "Scale of the changes of light and colour in --dataset=synthetic, 0 or more; 0 is constant light. "
        "Default: ours.",
    )
    flag.choice(
        "eval_split",
        DataConfig.eval_split,
        EVAL_SPLITS,
        "Split of metrics.json; auto is test where the data set has one, else val. "
        "The paper: test on CamVid, val on Cityscapes (Table 1).",
    )
    flag.choice(
        "on_bad_file",
        DataConfig.on_bad_file,
        ON_BAD_FILE,
        "What a file that cannot be used does: refuse stops before training; skip leaves it out, names it "
        "and counts it in metrics.json. Default: ours.",
    )
    flag.boolean(
        "allow_outside_files",
        DataConfig.allow_outside_files,
        "Let a manifest name files outside --data_dir. Default: ours, since a list made by others should "
        "not reach every file of yours.",
    )
