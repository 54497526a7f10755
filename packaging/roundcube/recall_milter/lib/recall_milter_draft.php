<?php

/** Opens a message again that was taken back. Its copy in the folder of sent mail becomes a draft: nothing was sent. */
class recall_milter_draft
{
    private $rcmail;
    private $storage;
    private $drafts;

    public function __construct(rcmail $rcmail)
    {
        $this->rcmail  = $rcmail;
        $this->storage = $rcmail->get_storage();
        $this->drafts  = (string) $rcmail->config->get('drafts_mbox');
    }

    /**
     * Returns the parameters of the page that edits a message; null: there is nothing to edit. The second of two tabs
     * opens the draft that the first one made.
     *
     * @param string   $id      Message-ID
     * @param string   $folder  where Roundcube has put the copy; empty: nowhere
     * @param callable $content writes the message into a file, as the gateway has it, and says whether it did
     */
    public function open(string $id, string $folder, callable $content)
    {
        $sent = $folder === '' ? null : $this->find($folder, $id);
        if (!$this->has_drafts()) {
            return $sent === null ? null : ['_uid' => $sent, '_mbox' => $folder];
        }
        if ($sent !== null && $folder !== $this->drafts) {
            $this->storage->move_message($sent, $this->drafts, $folder);
        }
        $uid = $this->find($this->drafts, $id);
        if ($uid === null && $this->save($content)) {
            $uid = $this->find($this->drafts, $id);
        }
        return $uid === null ? null : ['_draft_uid' => $uid, '_mbox' => $this->drafts];
    }

    /** Finds the newest copy of a message in a folder. */
    private function find(string $folder, string $id)
    {
        $quoted = str_replace(['\\', '"'], ['\\\\', '\\"'], preg_replace('/[\x00-\x1f\x7f]/', '', $id));
        $found  = $this->storage->search_once($folder, 'UNDELETED HEADER Message-ID "' . $quoted . '"');
        return $found->is_error() || $found->is_empty() ? null : $found->max();
    }

    private function has_drafts(): bool
    {
        return $this->drafts !== ''
            && ($this->storage->folder_exists($this->drafts) || $this->storage->create_folder($this->drafts, true));
    }

    /** Makes a draft of what the gateway has, for those who keep no copy of what they send. */
    private function save(callable $content): bool
    {
        $file = rcube_utils::temp_filename('recall');
        try {
            return $content($file) && $this->storage->save_message($this->drafts, $file, '', true, ['SEEN']) !== false;
        } finally {
            @unlink($file);
        }
    }
}
