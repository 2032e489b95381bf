"""What a model is: its record, its interface, its networks, likelihoods and divergences; one file a model.

`catalogue` lists the models without importing torch; `building.build_model` makes one. To add a model, write its
configuration and its module here and add its record to the catalogue: form, command line, map and tests follow.
"""
