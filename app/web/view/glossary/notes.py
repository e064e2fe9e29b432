"""The notes of the pages: what a reader must know before believing a table, and what a census is asked."""

NOTES: dict[str, str] = {
    "folded": "Folded weights: what the network computes through its norms.",
    "raw": "Raw weights: as the checkpoint stores them.",
    "raw-read": "Raw weights: what the norm before attention multiplies by is missing from what is read; "
    "the folded view has it.",
    "raw-encoder": "Raw weights: an encoder's attention reads the stream as it is, and its norms stand after the heads.",
    "stream-read": "No norm stands before this attention: tokens are read with their plain embeddings.",
    "post-norm": "What the heads write passes a norm: its gain is in the write side, its length is not, so what is "
    "written is right up to a positive factor a token.",
    "raw-post-norm": "The gain of the norm that the heads' writing passes is missing from the write side; "
    "the folded view has it.",
    "qk-no-write": "QK writes nothing: both sides are read with the embedding, and neither is an effect on logits.",
    "tied": "This model's embedding and unembedding are one matrix: both sides are read with the same vectors.",
    "untied": "Read sides use the embedding, the write side uses the unembedding; they are different matrices.",
    "no-unembedding": "An encoder has no unembedding: both sides, and the copying score, use the embedding, "
    "and the write side is no effect on logits.",
    "sinks": "Attention may go to a sink: the constant is then not written in full.",
    "qk-norm": "Queries and keys pass norms of their own: the gains are in, the lengths are not, so scores are right "
    "up to a positive factor for each query and each key.",
    "raw-qk-norm": "The gains of the norms of queries and keys are missing; the folded view has them.",
    "no-rotation": "Distance 0: no rotation, as for a token that attends to itself.",
    "rotation": "Queries are turned against keys as for a key that stands this many positions before the query.",
    "still-layer": "This layer does not turn queries and keys by their positions: QK is the same at any distance.",
    "full-rows": "One token's rows of the head's products, as if its embedding stood alone in the stream: no biases, no "
    "scale, no softmax, nothing that other layers add.",
    "zero-matrix": "This matrix is zero: it has no directions.",
    "raw-read-mlp": "Raw weights: what the norm before the MLP multiplies by is missing from what is read; "
    "the folded view has it.",
    "mlp-in": "The read side is read with the embedding; the neuron side is the vector's own entries, one a neuron.",
    "mlp-gate": "The read side is read with the embedding; the neuron side is the vector's own entries, one a neuron.",
    "mlp-out": "The neuron side is the vector's own entries, one a neuron: what the nonlinearity does is not in it.",
    "mlp-raw-post-norm": "The gain of the norm that the MLP's writing passes is missing from the write side; "
    "the folded view has it.",
    "mlp-post-norm": "What the MLP writes passes a norm: its gain is in the write side, its length is not.",
    "embed": "The token side is the vector's own entries, one a token.",
    "unembed": "The token side is the vector's own entries, one a token; the read side is read with the embedding.",
    "unembed-folded": "The token side is the vector's own entries, one a token; the final norm's gain is multiplied in, and "
    "each row is centred over the vocabulary.",
    "tied-page": "Embedding and unembedding are one matrix in this model: this page is both.",
    "tied-folded": "Embedding and unembedding are one matrix in this model, but each stands at a norm of its own: folded, "
    "they differ.",
    "pos": "The position side is the vector's own entries, one a position.",
    "stack": "The head side is the vector's own entries, one for each end of each head's OV.",
}
"""What a reader must know before believing a table, by the keys of `MatrixPage.notes`."""

FINDINGS: dict[str, str] = {
    "order": "Are heads more readable than MLPs, and MLPs than embeddings?",
    "size": "Is it the matrix's size?",
    "span": "Is it the direction, or any vector of its matrix's span?",
    "random": "Do they read better than random directions?",
    "rank": "Do early directions read better than late ones?",
    "components": "Do early principal components of the embedding read, and later ones not?",
    "layers": "Do later layers read better than early ones?",
    "use": "Is what is readable used, too?",
    "axes": "Are output axes more readable than singular directions?",
}
"""What a census is asked, in the order of its page."""
