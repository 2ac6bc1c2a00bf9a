"""Embedding providers behind one port, and the installation of the default model.

Importing this package loads neither a runtime nor a model; `factory.build` and
`install.install_model` load what they need when they are called.
"""
