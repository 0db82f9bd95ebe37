"""JupyterLab as `./lab up` starts it. What differs from run to run (port, token, address) is on its command line."""
# ruff: noqa: INP001 - Jupyter reads it as a file; it is no module of a package

c = get_config()  # noqa: F821 - Jupyter provides it

# Loopback's Host header is asked for even when the address is not loopback: in the Vagrant VM the browser arrives
# through the forwarded port as 127.0.0.1. Anything else would be another site's page talking to this server (DNS
# rebinding).
c.ServerApp.allow_remote_access = False
c.ServerApp.open_browser = False
c.ServerApp.port_retries = 0  # a taken port is said, not silently replaced
c.ServerApp.terminado_settings = {"shell_command": ["/bin/bash"]}  # under sudo SHELL may be anything

# Kernels by Unix sockets: no TCP port per kernel, nothing in clear text on loopback.
c.KernelManager.transport = "ipc"

# Offline and quiet: nobody is asked for news, versions or extensions.
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.LabApp.extension_manager = "readonly"
c.LabApp.news_url = None
c.LabApp.expose_app_in_browser = True  # tests drive the command registry through window.jupyterapp

c.ResourceUseDisplay.track_cpu_percent = True

# Files that a learner has no use for in the file browser.
c.ContentsManager.hide_globs = ["__pycache__", "*.pyc", "*~", ".DS_Store", "*.egg-info"]
