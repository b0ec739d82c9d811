"""What a data set is to everything else: clips, frames, class tables; and files to pixels."""
