"""What each column of a table means, in a line."""

from loraexp.config.keys import keys
from loraexp.config.schema import TrainConfig
from loraexp.results.arm_keys import START
from loraexp.results.tables import Column

OF_KEYS = {name: field.metadata["help"] for name, field in keys(TrainConfig)}
COLUMNS = {
    # of a comparison
    "settings": "how many settings validation texts chose among for this row",
    "lr": "learning rate, optim.lr times lr_factor",
    "trainable": "parameters that train, the head's among them",
    "seeds": "runs that differ in nothing but the seed",
    "validation": "mean accuracy on validation texts, in percent; settings are chosen by it",
    "test": "accuracy on test texts, in percent, mean over seeds",
    "deviation": "standard deviation of test accuracy over seeds, in points",
    "over_seeds": "95 % interval of the mean over seeds (Student's), in percent",
    "over_texts": "95 % interval for another sample of as many test texts (Wilson's), in percent",
    "difference": "test accuracy less that of the row it is compared with, in points",
    "p": "chance of such a difference if there is none; largest of three tests, Holm-corrected",
    "verdict": "best or baseline: what the others are compared with; tied: p of 0.05 or more",
    "detectable": "smallest difference that would have shown with 80 % chance, in points",
    "superiority": "how often it beats what it is compared with under the same seed, ties half",
    "superiority_95": "95 % interval of P(>)",
    "agreement": "test texts that two of its seeds label alike, in percent",
    "kappa": "the same beyond chance (Fleiss); 1 is full agreement",
    # of a comparison, where somebody asks for them
    "test_loss": "mean cross-entropy of the test texts, in nats a text",
    "fit_seconds": "seconds of training, mean over seeds",
    "texts_per_second": "texts a second in training, mean over seeds",
    "peak_memory": "largest memory of the process, or of the GPU, mean over seeds",
    "forgetting": "what training added to the base's loss on general text, in nats a token; to be "
    "compared on one base",
    "rank90": "singular values of the update that hold 90 % of the sum of all squared, mean over "
    "the matrices that changed",
    "update": "Frobenius norm of the update, in percent of the base's, over the same matrices",
    "intruders": "of the first 10 singular vectors of each changed matrix those like none of the "
    "base's, mean over the matrices",
    # of runs
    "run": "name of the run's folder",
    "method": "method of fine-tuning",
    "rank": "rank of the update",
    "alpha": OF_KEYS["lora.alpha"],
    "targets": "modules that are adapted",
    "percent": "trainable parameters in percent of all",
    "adapter_bytes": "size of the adapter's file",
    "train_accuracy": "accuracy on those training texts that were measured, in percent",
    "train_texts": "how many training texts were measured (trainer.train_metrics)",
    "validation_accuracy": "accuracy on validation texts, in percent",
    "test_accuracy": "accuracy on test texts, in percent",
    "test_f1": "F1 on test texts, in percent",
    "seconds": "seconds from start to record",
    "failed": "why it left no record",
    # of one run, a row a split or a class
    "texts": "which texts: those of train, validation or test",
    "n": "number of texts",
    "loss": "mean cross-entropy, in nats a text",
    "accuracy": "texts labelled rightly, in percent",
    "accuracy_95": "its 95 % interval for another sample of as many texts (Wilson's), in percent",
    "f1": "harmonic mean of precision and recall, in percent",
    "precision": "of the texts that got the label, those that have it, in percent",
    "recall": "of the texts that have the label, those that got it, in percent",
    "recall_95": "95 % interval of recall for another sample of as many texts (Wilson's)",
    "precision_95": "95 % interval of precision, likewise",
    "f1_95": "95 % interval of F1: Wilson's of J, the texts with the label that got it among those "
    "that have it or got it; F1 = 2 J / (1 + J)",
    "auroc": "chance that a positive text is ranked above a negative one, in percent",
    "macro_recall": "mean of the classes' recalls on test texts, in percent: rare ones count alike",
    "rare_error": "100 less mean recall of the classes with 20 train texts or fewer, in percent",
    "ece": "expected calibration error: by how much its probability for the label it gives is off "
    "from how often that is right, mean over 15 bins, in points; of few texts it is too large",
    "brier": "squared distance of the probabilities from the truth, 0 to 2",
    "oos_auroc": "chance that the largest probability of a test text in scope is above that of "
    "one of no class (data.out_of_scope), in percent",
    "oos_refused": "test texts of no class whose largest probability is below a threshold that "
    "keeps 95 % of the validation texts in scope, in percent",
    "in_scope_refused": "test texts in scope that the same threshold refuses, in percent",
    "in_scope_right": "test texts in scope that are kept and labelled rightly, in percent",
    "accuracy_refusing": "of all test texts those in scope that are kept and right, and those of "
    "no class that are refused, in percent",
    "measure": "what is counted; the threshold keeps 95 % of the validation texts in scope",
    "rate": "of these texts, in percent",
    "rate_95": "95 % interval for another sample of as many texts (Wilson's), in percent",
    "label": "class of the texts",
    "true": "label in the data",
    "predicted": "label that the model gave",
    "count": "number of test texts",
    "share": "of the texts with the true label, in percent",
    "text": "test text",
    "chance": "probability that the model gave to its label",
    # of figures
    "row": "row of the comparison",
    "confidence": "mean probability that the labels of a bin were given, in percent",
    "step": "optimizer step",
    "train_loss": "mean loss of the last batches, in nats a text",
    "val_loss": "mean loss of the validation texts, in nats a text",
    "train_acc": "accuracy of the last batches, in percent",
    "val_acc": "accuracy on validation texts, in percent",
}
OF_KEYS[START] = "sha256 of the adapter that init_from was then; empty: a new one"
OF_KEYS["split"] = "hash of which texts train and which test: tells files apart that have changed"


def explained(column: Column) -> str:
    """Also of a column that is named by a key of the config, or by a class."""
    if column.name.startswith("as "):
        return f"test texts that were labelled {column.heading}"
    return COLUMNS.get(column.name) or OF_KEYS.get(column.name, "")
