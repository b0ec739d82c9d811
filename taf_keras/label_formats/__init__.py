"""The exports of annotation tools, each turned into class names and a label map for every image."""
