"""The deployed system on this machine, made from ``template.yaml`` alone.

``stack`` connects the parts of ``local_aws``: the template, the API, the functions and the table.  ``demo`` seeds two
workspaces.  ``containers`` runs the built functions with ``sam local``.  ``start_page`` shows in a
browser what follows a launch, and ``docs_page`` the API document.  ``commands`` is the command line.

If the template has a part that cannot be interpreted here, the start fails.  Ignoring it could leave a door open.
"""
