# How everything that is shipped is compiled: `sam build` runs the Makefiles that include this with ARTIFACTS_DIR.

# SAM works on a copy in a temporary folder; the project's own folder has the lock and says which Python is meant.
PROJECT := $(realpath $(dir $(realpath $(lastword $(MAKEFILE_LIST))))..)
PYTHON ?= python3.13
IN_PROJECT := cd $(PROJECT) && $(PYTHON)

# Lambda's file system is read-only: without bytecode every cold start compiles everything.  Files in the ZIP are of 1980,
# so bytecode must not depend on their time.  It names files as they are called in Lambda, and sets are written in one
# order, so that two builds give the same bytes.
# $(1): a folder; $(2): where it is in Lambda
compile = cd $(PROJECT) && PYTHONHASHSEED=0 $(PYTHON) -m compileall -q -f --invalidation-mode unchecked-hash -s $(1) -p $(2) $(1)
