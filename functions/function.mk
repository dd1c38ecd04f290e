# A function's code: its app.py with bytecode.

include $(subst $() ,\ ,$(PROJECT))/layers/compile.mk

build-%Function:
	cp app.py "$$ARTIFACTS_DIR/"
	$(call compile,"$$ARTIFACTS_DIR",/var/task)
