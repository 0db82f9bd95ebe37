"""The kernel's own interfaces: cgroups, namespaces, mounts, overlay, processes, network interfaces. No Docker here."""
