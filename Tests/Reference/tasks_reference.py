"""Reference for benchmark tasks: lm-evaluation-harness itself, on documents from local files.

    python tasks_reference.py MODEL --data FOLDER --tasks NAME... --limit N --output FOLDER

Writes OUTPUT/TASK.jsonl, one line per document (log-likelihoods or response, metrics), and OUTPUT/TASK.json, the
aggregated results under the harness' names. Prompts, few-shot sampling, tokenising, scoring, filters and metrics
are those of the installed lm_eval, run through `simple_evaluate`; only `datasets.load_dataset`, which would
download, is replaced by one that reads FOLDER and gives the documents the hub's fields. The package datasets
itself (with pyarrow and pandas, 100 MB) and sacrebleu are imported by lm_eval, but nothing of them is needed.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import sys
import types
from importlib.machinery import ModuleSpec
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["DISABLE_MULTIPROC"] = "1"

# The name under which lm_eval knows each task, and its number of few-shot examples.
TASKS = {
    "lambada": ("lambada_openai", 0),
    "hellaswag": ("hellaswag", 0),
    "arc-challenge": ("arc_challenge", 0),
    "winogrande": ("winogrande", 0),
    "mmlu": ("mmlu", 5),
    "gsm8k": ("gsm8k", 5),
}
# Where in lm_eval they are defined.
FOLDERS = ["lambada", "hellaswag", "arc", "winogrande", "mmlu/default", "gsm8k"]


class Documents(list):
    """What lm_eval uses of datasets.Dataset."""

    @property
    def features(self) -> dict[str, None]:
        return dict.fromkeys(self[0])

    def map(self, function) -> Documents:
        return Documents({**document, **function(document)} for document in self)


def read(folder: Path, *names: str) -> Documents:
    """The documents of the first of `names` that is there; none where no file is."""
    for name in names:
        for path, opener in ((folder / name, open), (folder / (name + ".xz"), lzma.open)):
            if path.exists():
                with opener(path, "rt", encoding="utf-8") as lines:
                    return Documents(json.loads(line) for line in lines if line.strip())
    return Documents()


def lambada(document: dict) -> dict:
    if "text" in document:
        return document
    return {"text": document["context"] + " " + document["continuation"]}


def hellaswag(document: dict) -> dict:
    if "ctx_a" in document:
        return document
    # The local set has label and context joined, with the harness' preprocessing of the text done.
    label, context = document["activity_and_ctx"].split(": ", 1)
    return {
        "activity_label": label, "ctx_a": context, "ctx_b": "",
        "endings": document["endings"], "label": str(document["label"]),
    }  # fmt: skip


def loader(data: Path):
    """`datasets.load_dataset` for the tasks' data sets."""
    mmlu: dict[str, Documents] = {}

    def load(path: str, name: str | None = None, **_) -> dict[str, Documents]:
        if path == "EleutherAI/lambada_openai":
            return {"test": Documents(map(lambada, read(data / "lambada", "lambada_openai.jsonl", "test.jsonl")))}
        if path == "Rowan/hellaswag":
            folder = data / "hellaswag"
            return {
                "train": Documents(map(hellaswag, read(folder, "train.jsonl"))),
                "validation": Documents(map(hellaswag, read(folder, "validation.jsonl", "hellaswag_subset.jsonl"))),
            }
        if path == "allenai/ai2_arc":
            folder = data / "arc-challenge"
            return {
                "train": read(folder, "train.jsonl"),
                "validation": read(folder, "validation.jsonl"),
                "test": read(folder, "test.jsonl", "validation.jsonl"),
            }
        if path == "allenai/winogrande":
            folder = data / "winogrande"
            return {"train": read(folder, "train.jsonl"), "validation": read(folder, "validation.jsonl")}
        if path == "openai/gsm8k":
            return {split: read(data / "gsm8k", f"{split}.jsonl") for split in ("train", "test")}
        if path == "cais/mmlu":
            if not mmlu:
                mmlu.update({split: read(data / "mmlu", f"{split}.jsonl") for split in ("dev", "test")})
            return {
                split: Documents(one for one in documents if one["subject"] == name)
                for split, documents in mmlu.items()
            }
        raise ValueError(f"no local documents for {path}")

    return load


def stand_in(name: str, **attributes) -> None:
    module = types.ModuleType(name)
    module.__spec__, module.__path__, module.__version__ = ModuleSpec(name, None), [], "0"
    vars(module).update(attributes)
    sys.modules[name] = module


def record(task: str, sample: dict) -> dict:
    """What the comparison needs of one document under one filter."""
    line = {"task": task, "doc_id": sample["doc_id"], "filter": sample["filter"]}
    line |= {metric: sample[metric] for metric in sample["metrics"]}
    responses = [response for (response,) in sample["resps"]]
    if isinstance(responses[0], str):
        line |= {"response": responses[0], "filtered": sample["filtered_resps"][0]}
    else:
        line |= {"loglikelihoods": [one[0] for one in responses], "greedy": [one[1] for one in responses]}
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--limit", type=int, help="documents of each task (of each subject of mmlu)")
    parser.add_argument("--shots", type=int, help="few-shot examples (default: 5 for mmlu and gsm8k, else 0)")
    parser.add_argument("--batch", type=int, default=8, help="sequences at a time")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bootstrap", type=int, default=1000, help="draws for the error of a perplexity")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()

    stand_in("datasets", Dataset=Documents, DownloadMode=None, load_dataset=loader(arguments.data))
    stand_in("datasets.utils")
    stand_in("datasets.utils.metadata", MetadataConfigs=None)
    for unused in ("sacrebleu", "pandas"):
        stand_in(unused)
    import torch
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    torch.set_num_threads(arguments.threads)
    arguments.output.mkdir(parents=True, exist_ok=True)
    # Looking through all of lm_eval's tasks takes ten seconds.
    installed = Path(sys.modules["lm_eval"].__file__).parent / "tasks"
    manager = TaskManager(include_path=[str(installed / folder) for folder in FOLDERS], include_defaults=False)
    for name in arguments.tasks:
        task, shots = TASKS[name]
        # Responses are compared token by token: no padding, which changes rounding.
        batch = 1 if name == "gsm8k" else arguments.batch
        results = simple_evaluate(
            model=HFLM(pretrained=str(arguments.model), device="cpu", dtype="float32", batch_size=batch),
            tasks=[task],
            task_manager=manager,
            num_fewshot=shots if arguments.shots is None else arguments.shots,
            limit=arguments.limit,
            bootstrap_iters=arguments.bootstrap,
        )
        with open(arguments.output / f"{name}.jsonl", "w", encoding="utf-8") as lines:
            for subtask, samples in results["samples"].items():
                for sample in samples:
                    lines.write(json.dumps(record(subtask, sample)) + "\n")
        summary = results["results"] | results.get("groups", {})
        (arguments.output / f"{name}.json").write_text(json.dumps(summary, indent=1, default=str))


if __name__ == "__main__":
    main()
