"""What people look at: captions, contact sheets, the profile of a data set and its plots."""
