"""The synthetic clinical corpora of `metaprompt quickstart`.

One module per task (frames and the rule that turns a frame into a labelled
example), one per vocabulary, one for the draws and the split of names and
frames, one for the native file formats. `make_quickstart_corpora.py` beside
this folder puts them together.
"""
