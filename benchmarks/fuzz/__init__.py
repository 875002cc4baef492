"""What strangers' files do to us: a corpus made by a seed, through the readers, the commands and the policy format."""
