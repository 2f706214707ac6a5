"""The names of the Azure Machine Learning SDK v1 over Penstock.

Every class is the one of `penstock`; there is no second implementation. docs/azureml.md says what
is here, what is not here yet, and what is knowingly different.
"""

import sys

from azureml._later import MissingModules

sys.meta_path.append(MissingModules())
