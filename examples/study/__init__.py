"""What the studies of this folder share: reading results, verdicts, pages and figures; and, in Bash, the stages."""
