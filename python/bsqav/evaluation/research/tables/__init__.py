"""The paper's tables on a data set: which rows, which columns, and how each is measured."""
